"""What the parts of a model need of the data, said by the parts themselves, so that a run can be checked
before its first step.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["DataNeeds", "TellsDataNeeds"]


@dataclass(frozen=True, kw_only=True)
class DataNeeds:
    """What one part of a model needs of its data. None stands for "it does not matter to this part".

    Attributes:
        thing_classes: how many classes of objects the part tells apart.
        stuff_classes: how many classes of pixels it tells apart.
        ignore_label: the label of pixels that have no part in its loss.
        keypoints: how many keypoints of an object it predicts.
        masks: whether it is trained on a mask of every object.
        input_format: the order of the channels, "RGB", "BGR" or "raw", that the images must have.
    """

    thing_classes: int | None = None
    stuff_classes: int | None = None
    ignore_label: int | None = None
    keypoints: int | None = None
    masks: bool = False
    input_format: str | None = None


@runtime_checkable
class TellsDataNeeds(Protocol):
    """The protocol of a part of a model that says what data it needs.

    The parts of this library do. A part of your own that does not is not judged before training; one that
    inherits the method and means something else by its arguments overrides it::

        def data_needs(self) -> DataNeeds:
            return DataNeeds(thing_classes=self.num_words)
    """

    def data_needs(self) -> DataNeeds:
        """Return what this part, without the parts in it, needs of the data."""
        ...
