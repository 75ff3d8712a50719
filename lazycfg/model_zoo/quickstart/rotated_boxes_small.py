"""Your own data, rotated boxes: rotated Faster R-CNN on a ResNet-18 with torchvision's weights.

    python tools/train_net.py --config-file model_zoo/quickstart/rotated_boxes_small.py \\
        data.train_json=train.json data.test_json=val.json

A rotated box is a "bbox" of xc, yc, width, height and degrees counter-clockwise.
`rotated_boxes_nano.py` has a smaller network, `rotated_boxes_base.py` a larger one.
What you may want to change: image.size=640 image.max_size=1024 train.max_iter=5000
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.evaluation import RotatedCOCOEvaluator

from ..common.data.coco_json import data, dataloader
from ..common.models.rotated_faster_rcnn import model
from ..common.models.trunks import small
from ..common.own_data import image, lr_multiplier, optimizer, resized, train

small(model, train)
resized(dataloader)
dataloader.train.mapper.update(use_instance_mask=False, use_rotated_box=True)
dataloader.evaluator = L(RotatedCOCOEvaluator)(dataset=ref("..test.dataset"))
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
train.output_dir = "./output/rotated_boxes"
del resized, small
