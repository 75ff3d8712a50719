"""Your own data, panoptic segments: Panoptic FPN on a ResNet-18 with torchvision's weights.

    python tools/train_net.py --config-file model_zoo/quickstart/panoptic_small.py \\
        data.train_json=... data.train_panoptic_json=... data.train_panoptic_root=... \\
        data.train_images=... (and the same with `test`: see common/data/panoptic_json.py)

`panoptic_nano.py` has a smaller network, `panoptic_base.py` a larger one. What you may want to change:
image.size=640 image.max_size=1024, train.max_iter=5000, dataloader.train.total_batch_size=8.
"""

from typing import Any

from lazycfg import LazyCall as L

from ..common.data.panoptic_json import data, dataloader
from ..common.models.panoptic_fpn import model
from ..common.models.trunks import small
from ..common.own_data import image, lr_multiplier, optimizer, resized, train

small(model, train)
resized(dataloader)
_metadata: Any = L.attr(dataloader.train.dataset, "metadata")
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
model.sem_seg_head.num_classes = L(len)(L.attr(_metadata, "stuff_classes"))
train.output_dir = "./output/panoptic"
del resized, small
