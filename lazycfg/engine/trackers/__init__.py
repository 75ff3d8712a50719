"""Writers for trackers of experiments: W&B, MLflow and trackio."""

from .base import TrackerWriter, make_writers
from .mlflow import MLflowWriter
from .trackio import TrackioWriter
from .wandb import WandbWriter

__all__ = ["MLflowWriter", "TrackerWriter", "TrackioWriter", "WandbWriter", "make_writers"]
