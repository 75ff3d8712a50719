"""Your own data, boxes and keypoints: Keypoint R-CNN on a ResNet-18 with torchvision's weights.

    python tools/train_net.py --config-file model_zoo/quickstart/keypoints_small.py \\
        data.train_json=train.json data.test_json=val.json

Unless they are the 17 of COCO's persons, the evaluation needs a tolerance for each keypoint:
'dataloader.evaluator.kpt_oks_sigmas=[0.05, 0.05, ...]'.

`keypoints_nano.py` has a smaller network, `keypoints_base.py` a larger one. What you may want to change:
image.size=640 image.max_size=1024, train.max_iter=5000, dataloader.train.total_batch_size=8.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.data import create_keypoint_hflip_indices

from ..common.data.coco_json import data, dataloader
from ..common.models.keypoint_rcnn_fpn import model
from ..common.models.trunks import small
from ..common.own_data import image, lr_multiplier, optimizer, resized, train

small(model, train)
resized(dataloader)
_metadata: Any = L.attr(dataloader.train.dataset, "metadata")
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
model.roi_heads.keypoint_head.num_keypoints = L(len)(L.attr(_metadata, "keypoint_names"))
dataloader.train.mapper.update(
    use_instance_mask=False,
    use_keypoint=True,
    # Names that differ in "left" and "right" alone swap in mirror images.
    keypoint_hflip_indices=L(create_keypoint_hflip_indices)(metadata=_metadata),
)
train.output_dir = "./output/keypoints"
del resized, small
