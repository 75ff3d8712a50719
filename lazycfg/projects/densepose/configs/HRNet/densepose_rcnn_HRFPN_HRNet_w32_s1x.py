"""DensePose, HRFPN over HRNet-W32.

The weights to start from are those that HRNet's authors published, trained on ImageNet:
https://1drv.ms/u/s!Aus8VCZ_C_33dYBMemi9xOUFR0w (W48: https://1drv.ms/u/s!Aus8VCZ_C_33dKvqI6pBZlifgJk).
"""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import ClipGradNormPerParameter

from ..common.densepose_coco import dataloader
from ..common.densepose_rcnn_hrfpn import model
from ..common.schedules import lr_multiplier_s1x as lr_multiplier

optimizer.lr = 0.03
train.max_iter = 130000
train.clip_grad = L(ClipGradNormPerParameter)(max_norm=1.0)
train.init_checkpoint = "${oc.env:LAZYCFG_WEIGHTS,weights}/HRNet/hrnet_w32.pth"
# The classifier's own layers
train.init_ignore = ["incre_modules.*", "downsamp_modules.*", "final_layer.*", "classifier.*"]
