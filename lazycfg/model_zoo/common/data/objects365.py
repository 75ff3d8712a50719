"""Objects365 v2, boxes of 365 classes: as `coco.py`, other files.

They are looked for in `$DETECTRON2_DATASETS/objects365` (`datasets` when unset): `zhiyuan_objv2_train.json`,
`zhiyuan_objv2_val.json` and the folders `train` and `val` with `patch0`, `patch1`, ... The names in the files
begin with other folders (`images/v1/patch0/...`), which a warning tells.
"""

from .coco import dataloader

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/objects365"

for part, split in ((dataloader.train.dataset.dataset, "train"), (dataloader.test.dataset, "val")):
    part.update(
        name=f"objects365_v2_{split}",
        json_file=f"{_root}/zhiyuan_objv2_{split}.json",
        image_root=f"{_root}/{split}",
        on_error="skip",
    )
dataloader.train.mapper.use_instance_mask = False
