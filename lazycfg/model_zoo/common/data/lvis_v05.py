"""LVIS v0.5, boxes and masks; see `lvis_v1.py`, whose places it shares."""

from .lvis_v1 import dataloader

_folder = "${oc.env:DETECTRON2_DATASETS,datasets}/lvis"

dataloader.train.dataset.dataset.update(name="lvis_v0.5_train", json_file=f"{_folder}/lvis_v0.5_train.json")
dataloader.test.dataset.update(name="lvis_v0.5_val", json_file=f"{_folder}/lvis_v0.5_val.json")
