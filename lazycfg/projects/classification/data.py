"""Images in a folder for each class, cut and resized to one size."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.data import DatasetMapper, Metadata, TrainLoader, build_detection_train_loader
from lazycfg.data.image import ImageFormat
from lazycfg.data.transforms import AugInput, Augmentation, TransformList
from lazycfg.data.transforms.geometric import CropTransform, ResizeTransform
from lazycfg.utils import get_world_size

__all__ = [
    "CenterCrop",
    "ClassificationMapper",
    "ImageFolders",
    "RandomResizedCrop",
    "build_classification_train_loader",
]

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class ImageFolders:
    """Images that lie in a folder for each class, as ImageNet's: ``train/n01440764/n01440764_18.JPEG``.

    A record has "file_name", "image_id" (the path below the folder) and "label", the number of the class in
    the order of the folders' names.

    Args:
        root: holds the folders of the classes.
        name: for logs and reports; the name of `root` when None.

    Raises:
        FileNotFoundError: there is no such folder, or a class has no image; names it.
    """

    validated = True

    def __init__(self, *, root: str | os.PathLike[str], name: str | None = None) -> None:
        folder = Path(root)
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r} with a folder of images for each class")
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        self._files: list[tuple[str, int]] = []
        for label, each in enumerate(classes):
            files = sorted(path for path in (folder / each).iterdir() if path.suffix.lower() in _IMAGES)
            if not files:
                raise FileNotFoundError(f"no image in {str(folder / each)!r}; expected {', '.join(_IMAGES)}")
            self._files += [(str(path), label) for path in files]
        if not classes:
            raise FileNotFoundError(f"no folder of a class in {str(root)!r}")
        self._root = folder
        self.metadata = Metadata(name=name or folder.name, thing_classes=tuple(classes))

    @property
    def num_classes(self) -> int:
        """Return the number of classes."""
        return len(self.metadata.thing_classes)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        file, label = self._files[index]
        return {
            "file_name": file,
            "image_id": Path(file).relative_to(self._root).as_posix(),
            "label": label,
        }


class ClassificationMapper:
    """Read and augment an image; the result has "image" (uint8 tensor (3, H, W)) beside what the record had.

    Args:
        augmentations: applied in turn.
        image_format: order of the channels, "RGB" or "BGR".
    """

    def __init__(self, *, augmentations: Sequence[Augmentation], image_format: ImageFormat = "RGB") -> None:
        self.image_format = image_format
        self._mapper = DatasetMapper(is_train=False, augmentations=augmentations, image_format=image_format)

    def __call__(self, record: dict[str, Any], rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Return the sample of a record; ``rng`` is drawn from by the augmentations."""
        return self._mapper(record, rng)


class RandomResizedCrop(Augmentation):
    """Cut a part of drawn area and shape, and resize it to a square (arXiv:1409.4842, section 6).

    Args:
        size: side of the square, pixels.
        area: (smallest, largest) part of the image.
        aspect_ratio: (smallest, largest) width by height; equally likely on a logarithmic scale.
    """

    def __init__(
        self,
        *,
        size: int,
        area: tuple[float, float] = (0.08, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size = size
        self.area = area
        self.aspect_ratio = aspect_ratio

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        """Return the crop and the resizing; the largest crop of an allowed shape if ten draws do not fit."""
        height, width = aug_input.image_size
        low, high = (math.log(ratio) for ratio in self.aspect_ratio)
        for _ in range(10):
            target, ratio = height * width * rng.uniform(*self.area), math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
            if 0 < w <= width and 0 < h <= height:
                x0, y0 = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
                break
        else:
            ratio = min(max(width / height, self.aspect_ratio[0]), self.aspect_ratio[1])
            w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
            x0, y0 = (width - w) // 2, (height - h) // 2
        return TransformList(
            [CropTransform(x0, y0, w, h, width, height), ResizeTransform(h, w, self.size, self.size)]
        )


class CenterCrop(Augmentation):
    """Cut a square out of the middle.

    Args:
        size: its side, pixels; the image must be as large.
    """

    def __init__(self, *, size: int) -> None:
        self.size = size

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> CropTransform:
        """Return the crop."""
        height, width = aug_input.image_size
        x0, y0 = (width - self.size) // 2, (height - self.size) // 2
        return CropTransform(x0, y0, self.size, self.size, width, height)


def build_classification_train_loader(
    *, dataset: Any, mapper: Any, batch_size: int, num_workers: int = 0, seed: int | None = 0
) -> TrainLoader:
    """Return endless batches for training.

    Args:
        dataset: of records with "label".
        mapper: record -> sample.
        batch_size: images in a batch of each process.
        num_workers: processes that load; 0: this one.
        seed: of order and augmentation.
    """
    return build_detection_train_loader(
        dataset=dataset,
        mapper=mapper,
        total_batch_size=batch_size * get_world_size(),
        num_workers=num_workers,
        seed=seed,
        aspect_ratio_grouping=False,
        check=False,
    )
