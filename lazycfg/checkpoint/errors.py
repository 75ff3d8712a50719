"""The errors of files of weights and of training states."""

__all__ = ["CheckpointError", "MissingCheckpointError"]


class CheckpointError(ValueError):
    """A file of weights or of a training state cannot be used. The message names the file and what to do."""


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """A checkpoint, or a file of one, is not there."""
