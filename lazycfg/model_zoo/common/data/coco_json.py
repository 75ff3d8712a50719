"""Your own data: pictures annotated in COCO's JSON format, one file for training and one for testing.

    data.train_json=annotations/train.json data.test_json=annotations/val.json

The pictures are looked for beside the annotation files (lazycfg.data.datasets.candidate_roots lists where);
else say `data.train_images=folder data.test_images=folder`. The number of classes is what the training file
has:

    model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
"""

from typing import Any

from lazycfg import REQUIRED
from lazycfg import LazyCall as L
from lazycfg.data import CocoDataset

from .coco import dataloader

data: Any = dict(
    train_json=REQUIRED,  # The file with the annotations to train on, in COCO's JSON format.
    test_json=REQUIRED,  # The file with the annotations to test on; its classes are those of train_json.
    train_images=None,  # The folder of the images to train on; looked for near train_json by default.
    test_images=None,  # The folder of the images to test on; looked for near test_json by default.
)

dataloader.train.dataset.dataset = L(CocoDataset)(
    json_file="${data.train_json}", image_root="${data.train_images}"
)
dataloader.train.update(total_batch_size=2, num_workers=2)
dataloader.test.update(
    dataset=L(CocoDataset)(json_file="${data.test_json}", image_root="${data.test_images}"), num_workers=2
)
