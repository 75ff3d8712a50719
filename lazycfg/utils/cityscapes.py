"""The classes of Cityscapes (Cordts et al., arXiv:1604.01685), and how its files are named."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "IMAGE_ENDING",
    "INSTANCE_LABELS",
    "LABELS",
    "TRAIN_LABELS",
    "CityscapesLabel",
    "ground_truth_file",
    "image_name",
]

IMAGE_ENDING = "_leftImg8bit.png"


@dataclass(frozen=True)
class CityscapesLabel:
    """One of the labels.

    Attributes:
        name: as the data set spells it.
        id: in maps of labels, and times 1,000 in maps of instances.
        category: of several labels.
        color: RGB.
        train_id: the class from 0 to 18; -1 for what is not evaluated.
        has_instances: whether objects of it are told apart.
    """

    name: str
    id: int
    category: str
    color: tuple[int, int, int]
    train_id: int = -1
    has_instances: bool = False

    @property
    def ignored(self) -> bool:
        """Return whether the class is neither trained nor evaluated."""
        return self.train_id < 0


LABELS = (
    CityscapesLabel("unlabeled", 0, "void", (0, 0, 0)),
    CityscapesLabel("ego vehicle", 1, "void", (0, 0, 0)),
    CityscapesLabel("rectification border", 2, "void", (0, 0, 0)),
    CityscapesLabel("out of roi", 3, "void", (0, 0, 0)),
    CityscapesLabel("static", 4, "void", (0, 0, 0)),
    CityscapesLabel("dynamic", 5, "void", (111, 74, 0)),
    CityscapesLabel("ground", 6, "void", (81, 0, 81)),
    CityscapesLabel("road", 7, "flat", (128, 64, 128), 0),
    CityscapesLabel("sidewalk", 8, "flat", (244, 35, 232), 1),
    CityscapesLabel("parking", 9, "flat", (250, 170, 160)),
    CityscapesLabel("rail track", 10, "flat", (230, 150, 140)),
    CityscapesLabel("building", 11, "construction", (70, 70, 70), 2),
    CityscapesLabel("wall", 12, "construction", (102, 102, 156), 3),
    CityscapesLabel("fence", 13, "construction", (190, 153, 153), 4),
    CityscapesLabel("guard rail", 14, "construction", (180, 165, 180)),
    CityscapesLabel("bridge", 15, "construction", (150, 100, 100)),
    CityscapesLabel("tunnel", 16, "construction", (150, 120, 90)),
    CityscapesLabel("pole", 17, "object", (153, 153, 153), 5),
    CityscapesLabel("polegroup", 18, "object", (153, 153, 153)),
    CityscapesLabel("traffic light", 19, "object", (250, 170, 30), 6),
    CityscapesLabel("traffic sign", 20, "object", (220, 220, 0), 7),
    CityscapesLabel("vegetation", 21, "nature", (107, 142, 35), 8),
    CityscapesLabel("terrain", 22, "nature", (152, 251, 152), 9),
    CityscapesLabel("sky", 23, "sky", (70, 130, 180), 10),
    CityscapesLabel("person", 24, "human", (220, 20, 60), 11, True),
    CityscapesLabel("rider", 25, "human", (255, 0, 0), 12, True),
    CityscapesLabel("car", 26, "vehicle", (0, 0, 142), 13, True),
    CityscapesLabel("truck", 27, "vehicle", (0, 0, 70), 14, True),
    CityscapesLabel("bus", 28, "vehicle", (0, 60, 100), 15, True),
    CityscapesLabel("caravan", 29, "vehicle", (0, 0, 90), -1, True),
    CityscapesLabel("trailer", 30, "vehicle", (0, 0, 110), -1, True),
    CityscapesLabel("train", 31, "vehicle", (0, 80, 100), 16, True),
    CityscapesLabel("motorcycle", 32, "vehicle", (0, 0, 230), 17, True),
    CityscapesLabel("bicycle", 33, "vehicle", (119, 11, 32), 18, True),
)
"""By id, without "license plate" (-1), which is in no map."""

TRAIN_LABELS = tuple(label for label in LABELS if not label.ignored)
"""The 19 that are evaluated, by `train_id`."""

INSTANCE_LABELS = tuple(label for label in TRAIN_LABELS if label.has_instances)
"""Those of the 19 that are things."""


def image_name(file_name: str | os.PathLike[str]) -> str:
    """Return what the files of an image have in common: city, sequence and frame.

    Raises:
        ValueError: it is no file of an image of Cityscapes.
    """
    base = os.path.basename(os.fspath(file_name))
    if not base.endswith(IMAGE_ENDING):
        raise ValueError(
            f"{os.fspath(file_name)!r} is no image of Cityscapes: its name must end in {IMAGE_ENDING}"
        )
    return base.removesuffix(IMAGE_ENDING)


def ground_truth_file(gt_dir: str | os.PathLike[str], file_name: str | os.PathLike[str], kind: str) -> Path:
    """Return the file of an image's ground truth.

    Args:
        gt_dir: such as ``cityscapes/gtFine/val``.
        file_name: of the image, in a folder of its city.
        kind: "labelIds", "labelTrainIds" or "instanceIds".
    """
    name = image_name(file_name)
    city = os.path.basename(os.path.dirname(os.fspath(file_name))) or name.split("_")[0]
    return Path(gt_dir) / city / f"{name}_gtFine_{kind}.png"
