"""Your own data in any format that `lazycfg data` recognises: YOLO, Pascal VOC, COCO, labelme, CVAT, ...

    from lazycfg.model_zoo.quickstart.mask_rcnn_coco_json import (
        dataloader, image, lr_multiplier, model, optimizer, train,
    )
    from lazycfg.model_zoo.common.data.own_folder import data, use_own_folder

    use_own_folder(dataloader)
    model.roi_heads.mask_head = None  # boxes only

trains with `data.path=my_data`, a file or a folder; `data.train=train data.test=val` are the names of its
parts, as `lazycfg data my_data` prints them. Data for testing may lie elsewhere:
`data.test_path=more data.test=null`.
"""

from typing import Any

from lazycfg import REQUIRED
from lazycfg import LazyCall as L
from lazycfg.data import open_dataset

data: Any = dict(
    # The data: a file or a folder.
    path=REQUIRED,
    # The part to train on, as `lazycfg data` prints it; None for data that has no parts.
    train="train",
    # The data to test on, which may lie elsewhere.
    test_path="${.path}",
    # The part to test on.
    test="val",
    # The format, such as "yolo"; None recognizes it.
    format=None,
    # What is wrong in the annotations is an error ("raise") or left out ("skip").
    on_error="raise",
)


def use_own_folder(dataloader: Any) -> None:
    """Let the loaders of a config that has `data` read it."""
    dataloader.train.dataset.dataset = L(open_dataset)(
        path="${data.path}", split="${data.train}", format="${data.format}", on_error="${data.on_error}"
    )
    dataloader.test.dataset = L(open_dataset)(
        path="${data.test_path}", split="${data.test}", format="${data.format}", on_error="${data.on_error}"
    )
