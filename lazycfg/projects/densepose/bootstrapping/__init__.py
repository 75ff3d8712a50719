"""Training on videos and images without annotations, which a trained model makes (arXiv:2003.00080)."""

from .loader import (
    CombinedLoader,
    InferenceBasedLoader,
    build_bootstrapping_train_loader,
    instances_of_predictions,
    load_teacher,
)
from .sampling import ChartPointSampler, EmbeddingPointSampler, ScoreBasedFilter
from .video import ImageListDataset, SelectFrames, VideoError, VideoKeyframeDataset

__all__ = [
    "ChartPointSampler",
    "CombinedLoader",
    "EmbeddingPointSampler",
    "ImageListDataset",
    "InferenceBasedLoader",
    "ScoreBasedFilter",
    "SelectFrames",
    "VideoError",
    "VideoKeyframeDataset",
    "build_bootstrapping_train_loader",
    "instances_of_predictions",
    "load_teacher",
]
