"""Training on videos and images without annotations, which a trained model makes (arXiv:2003.00080)."""

from .loader import (
    BootstrappingTrainLoader,
    CombinedLoader,
    InferenceBasedLoader,
    instances_of_predictions,
)
from .sampling import ChartPointSampler, EmbeddingPointSampler, ScoreBasedFilter
from .video import ImageListDataset, SelectFrames, VideoError, VideoKeyframeDataset

__all__ = [
    "BootstrappingTrainLoader",
    "ChartPointSampler",
    "CombinedLoader",
    "EmbeddingPointSampler",
    "ImageListDataset",
    "InferenceBasedLoader",
    "ScoreBasedFilter",
    "SelectFrames",
    "VideoError",
    "VideoKeyframeDataset",
    "instances_of_predictions",
]
