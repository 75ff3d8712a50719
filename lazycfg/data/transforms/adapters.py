"""Augmentations of other libraries: torchvision.transforms.v2 and albumentations.

Such a transform draws and applies in one. An adapter draws a seed from the generator of the sample instead,
and applies the transform with that seed to pixels, to labels and to points in turn, which gives each the
same draw. So they fit in among the others, for boxes, polygons, masks and keypoints, at the cost of one
pass of the transform over the image for each kind of annotation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from .augmentation import AugInput, Augmentation, from_image
from .augmentation_pixels import draw_seed
from .pixels import ChannelOrder
from .transform import Transform, image_size, to_chw


class LibraryAugmentation(Augmentation, ABC):
    """Base class of the adapters."""

    @abstractmethod
    def run(
        self, seed: int, image: Tensor, labels: Tensor | None, points: np.ndarray | None
    ) -> tuple[Tensor, Tensor | None, np.ndarray | None]:
        """Apply the transform with the draw of a seed.

        Args:
            image: (C, H, W), RGB.
            labels: (H, W), or None.
            points: (N, 2) in continuous pixels, or None.

        Returns:
            the same, moved; as many points as there were, also those that have left the image.
        """

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> LibraryTransform:
        """Return the transform with a drawn seed.

        Raises:
            ValueError: what the transform gives is no image that the others could go on with.
        """
        return LibraryTransform(self, draw_seed(rng), to_chw(aug_input.image), aug_input.channel_order)


@dataclass(frozen=True, eq=False)
class LibraryTransform(Transform):
    """The transform of another library with a fixed seed.

    Args:
        augmentation: whose `run` applies it.
        seed: of its draw.
        image: (C, H, W) that it was drawn for; labels and points are moved together with it, as what is drawn
            may depend on it.
        channel_order: of the image.
    """

    augmentation: LibraryAugmentation
    seed: int
    image: Tensor
    channel_order: ChannelOrder

    def _run(
        self, image: Tensor, labels: Tensor | None = None, points: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor | None, np.ndarray | None]:
        is_reversed = self.channel_order == "BGR" and len(image) == 3
        given = image.flip(0) if is_reversed else image
        moved, labels, points = self.augmentation.run(self.seed, given, labels, points)
        if moved.ndim != 3 or moved.dtype != image.dtype or len(moved) != len(image):
            raise ValueError(
                f"{self.augmentation!r} makes {moved.dtype} {tuple(moved.shape)} of an image {image.dtype} "
                f"{tuple(image.shape)}: leave out what changes the type or normalizes (the model does that)"
            )
        return moved.flip(0) if is_reversed else moved, labels, points

    @property
    def swaps_sides(self) -> bool:
        """Return whether the image is mirrored."""
        height, width = image_size(self.image)
        middle = np.array([width / 2, height / 2])
        a, b, c = self.apply_coords(middle + np.array([[0.0, 0], [width / 8, 0], [0, height / 8]]))
        right, down = b - a, c - a
        return bool(right[0] * down[1] - right[1] * down[0] < 0)

    def transform_image(self, image: Tensor) -> Tensor:
        """Apply the transform to pixels (C, H, W) of the size it was drawn for."""
        return self._run(image)[0]

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Apply the transform to labels (H, W) or (1, H, W)."""
        labels = self._run(self.image, labels=segmentation.reshape(segmentation.shape[-2:]))[1]
        assert labels is not None
        return labels.reshape(*segmentation.shape[:-2], *labels.shape)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Apply the transform to points (N, 2).

        Raises:
            ValueError: the other library drops points that leave the image.
        """
        if len(coords) == 0:
            return coords
        points = self._run(self.image, points=np.asarray(coords, dtype=np.float64))[2]
        if points is None or points.shape != coords.shape:
            raise ValueError(f"{self.augmentation!r} drops points that leave the image")
        return points


class TorchvisionAugmentation(LibraryAugmentation):
    """A transform of `torchvision.transforms.v2`, such as ``v2.RandomPerspective()`` or a ``v2.Compose``.

    What looks at the boxes of an image (``RandomIoUCrop``) or drops them is refused. Where torchvision
    resizes masks, they are off by up to half a pixel.

    Args:
        transform: a module that takes tv_tensors.

    Raises:
        ValueError: the transform cannot be applied to each kind of annotation by itself.
    """

    def __init__(self, transform: torch.nn.Module) -> None:
        if not isinstance(transform, torch.nn.Module):
            raise ValueError(
                f"TorchvisionAugmentation: expected a transform of torchvision, got {transform!r}"
            )
        for part in _parts(transform):
            if isinstance(part, v2.RandomIoUCrop | v2.SanitizeBoundingBoxes | v2.CutMix | v2.MixUp):
                raise ValueError(
                    f"TorchvisionAugmentation: {type(part).__name__} looks at boxes or at several images; "
                    "lazycfg.data.transforms has RandomIoUCrop, lazycfg.data has MixUp, and the mapper drops "
                    "boxes without area"
                )
        self.transform = transform

    def run(
        self, seed: int, image: Tensor, labels: Tensor | None, points: np.ndarray | None
    ) -> tuple[Tensor, Tensor | None, np.ndarray | None]:
        """See `LibraryAugmentation.run`. Global generators stay as they are.

        The image is (C, H, W), labels are (H, W) and points (N, 2).

        Raises ValueError where the other library returns something else.
        """
        given: list[Tensor] = [tv_tensors.Image(image)]
        if labels is not None:
            given.append(tv_tensors.Mask(labels))
        if points is not None:
            given.append(
                tv_tensors.BoundingBoxes(
                    torch.from_numpy(np.concatenate((points, points), axis=1)),
                    format="XYXY",
                    canvas_size=image_size(image),
                    clamping_mode=None,
                )
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            moved: Any = self.transform(*given)
        result = [moved] if len(given) == 1 else list(moved)
        plain = [x.as_subclass(Tensor) if isinstance(x, Tensor) else x for x in result]
        if not isinstance(plain[0], Tensor):
            raise ValueError(f"{self.transform!r} gives a {type(plain[0]).__name__}, expected a tensor")
        return (
            plain[0],
            plain[1] if labels is not None else None,
            plain[-1][:, :2].numpy() if points is not None else None,
        )


def _parts(transform: Any) -> Iterator[Any]:
    """Yield a transform of torchvision and those in it, which need not be registered as modules."""
    yield transform
    for part in [getattr(transform, "transform", None), *(getattr(transform, "transforms", None) or ())]:
        if part is not None:
            yield from _parts(part)


class AlbumentationsAugmentation(LibraryAugmentation):
    """A transform of albumentations (2.x; ``pip install albumentations``), or several in turn.

    Points are moved as its keypoints, which lie on pixel centres: where an image is scaled, by s, they are
    off by half of s - 1 pixels. What looks at boxes is not supported.

    Args:
        transforms: one, or a list, without ``bbox_params`` and ``keypoint_params``.

    Raises:
        ImportError: albumentations is not installed.
    """

    def __init__(self, transforms: Any) -> None:
        try:
            import albumentations
        except ImportError as error:
            raise ImportError(
                "AlbumentationsAugmentation needs albumentations 2.x: pip install albumentations"
            ) from error
        parts = list(transforms) if isinstance(transforms, Sequence) else [transforms]
        self.compose: Any = albumentations.Compose(
            parts, keypoint_params=albumentations.KeypointParams(format="xy", remove_invisible=False)
        )

    def run(
        self, seed: int, image: Tensor, labels: Tensor | None, points: np.ndarray | None
    ) -> tuple[Tensor, Tensor | None, np.ndarray | None]:
        """See `LibraryAugmentation.run`.

        The image is (C, H, W), labels are (H, W) and points (N, 2).
        """
        self.compose.set_random_seed(seed % 2**31)
        given: dict[str, Any] = {"image": np.ascontiguousarray(image.permute(1, 2, 0).numpy())}
        if labels is not None:  # OpenCV has no whole numbers of more than 16 bits; as float32 they are exact
            given["mask"] = labels.numpy().astype(np.float32)
        given["keypoints"] = np.zeros((0, 2)) if points is None else points - 0.5
        moved = self.compose(**given)
        pixels = np.asarray(moved["image"])
        return (
            torch.from_numpy(np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1))),
            torch.from_numpy(moved["mask"].round()).to(labels.dtype) if labels is not None else None,
            np.asarray(moved["keypoints"], dtype=np.float64).reshape(-1, 2) + 0.5
            if points is not None
            else None,
        )
