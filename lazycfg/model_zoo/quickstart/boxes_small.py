"""Your own data, boxes: Faster R-CNN on a ResNet-18 with torchvision's weights.

    python tools/train_net.py --config-file model_zoo/quickstart/boxes_small.py \\
        data.train_json=train.json data.test_json=val.json

`boxes_nano.py` has a smaller network, `boxes_base.py` a larger one. What you may want to change:
image.size=640 image.max_size=1024, train.max_iter=5000, dataloader.train.total_batch_size=8.
"""

from lazycfg import LazyCall as L

from ..common.data.coco_json import data, dataloader
from ..common.models.faster_rcnn_fpn import model
from ..common.models.trunks import small
from ..common.own_data import image, lr_multiplier, optimizer, resized, train

small(model, train)
resized(dataloader)
dataloader.train.mapper.use_instance_mask = False
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
train.output_dir = "./output/boxes"
del resized, small
