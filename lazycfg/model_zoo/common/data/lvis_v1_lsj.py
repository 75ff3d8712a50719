"""LVIS v1 with large-scale jitter, as `coco_lsj.py`."""

from .coco_lsj import dataloader as _jitter
from .lvis_v1 import dataloader

dataloader.train.update(mapper=_jitter.train.mapper, total_batch_size=_jitter.train.total_batch_size)
dataloader.test.mapper = _jitter.test.mapper
