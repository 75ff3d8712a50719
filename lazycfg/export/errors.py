"""What is raised where a model is not exported."""

__all__ = ["ExportError", "NothingFoundError"]


class ExportError(ValueError):
    """A model, or what is asked of it, cannot be exported; or the exported one disagrees with the model."""


class NothingFoundError(ExportError):
    """The model finds nothing in the examples, so that there is nothing to compare."""
