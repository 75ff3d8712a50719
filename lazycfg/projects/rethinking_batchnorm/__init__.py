"""What "batch" means in batch normalisation (Wu & Johnson, arXiv:2105.07576)."""

from .batch_norm import BatchNormBatchStat
from .level_statistics import split_statistics_by_level
from .retinanet_head import RetinaNetHead_SharedTrainingBN
from .shuffle import ShuffledBoxHead, ShuffledMaskHead, run_shuffled

__all__ = [
    "BatchNormBatchStat",
    "RetinaNetHead_SharedTrainingBN",
    "ShuffledBoxHead",
    "ShuffledMaskHead",
    "run_shuffled",
    "split_statistics_by_level",
]
