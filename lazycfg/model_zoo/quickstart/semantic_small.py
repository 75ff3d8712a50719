"""Your own data, the class of each pixel: Panoptic FPN's semantic half on a ResNet-18, torchvision's weights.

    python tools/train_net.py --config-file model_zoo/quickstart/semantic_small.py \\
        data.train_images=images/train data.train_labels=labels/train \\
        data.test_images=images/val data.test_labels=labels/val 'data.classes=["ground", "road"]'

`semantic_nano.py` has a smaller network, `semantic_base.py` a larger one. What you may want to change:
image.size=640 image.max_size=1024, train.max_iter=5000, dataloader.train.total_batch_size=8.
"""

from lazycfg import LazyCall as L

from ..common.data.sem_seg_folders import data, dataloader
from ..common.models.semantic_fpn import model
from ..common.models.trunks import small
from ..common.own_data import image, lr_multiplier, optimizer, resized, train

small(model, train)
resized(dataloader)
model.sem_seg_head.num_classes = L.attr(dataloader.train.dataset, "num_classes")
train.output_dir = "./output/semantic"
del resized, small
