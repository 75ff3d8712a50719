"""Networks that turn images into feature maps."""

from .backbone import Backbone

__all__ = ["Backbone"]
