"""COCO 2014, persons with keypoints: as `coco_keypoint.py`, with the files of `coco_2014.py`."""

from lazycfg import LazyCall as L
from lazycfg.data import ConcatDataset
from lazycfg.data.datasets import COCO_PERSON_KEYPOINT_OKS_SIGMAS

from .coco_2014 import coco_2014
from .coco_keypoint import dataloader

_parts = [coco_2014(split, "person_keypoints") for split in ("train", "valminusminival", "minival")]
for _part in _parts:
    _part.keypoint_oks_sigmas = COCO_PERSON_KEYPOINT_OKS_SIGMAS

dataloader.train.dataset.dataset = L(ConcatDataset)(datasets=_parts[:2])
dataloader.test.dataset = _parts[2]
