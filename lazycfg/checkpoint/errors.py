"""The error of files of weights and of training states."""

__all__ = ["CheckpointError"]


class CheckpointError(ValueError):
    """A file of weights or of a training state cannot be used. The message names the file and what to do."""
