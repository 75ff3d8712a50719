"""From a record with panoptic segments to what Panoptic-DeepLab is trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lazycfg.data import ImageError, check_image_size
from lazycfg.data.datasets.base import Record, describe
from lazycfg.data.datasets.label_maps import read_segment_ids
from lazycfg.data.image import ImageFormat
from lazycfg.data.mapper import DatasetMapper
from lazycfg.data.transforms import AugInput, Augmentation, Transform
from lazycfg.projects.panoptic_deeplab.targets import PanopticDeepLabTargetGenerator

__all__ = ["PanopticDeeplabDatasetMapper"]


class PanopticDeeplabDatasetMapper(DatasetMapper):
    """Reads and augments an image and its panoptic segments, and makes the targets of them. For training.

    The result has "image" (uint8 tensor (3, H, W)), "height" and "width" (before augmentation), what the
    target generator gives, and whatever else the record had.

    Args:
        augmentations: applied in turn, to the image and to the segments.
        image_format: channel order that the model expects.
        panoptic_target_generator: makes the targets.
        kwargs: others of `DatasetMapper` that are about images.
    """

    def __init__(
        self,
        *,
        augmentations: Sequence[Augmentation | Transform] = (),
        image_format: ImageFormat = "RGB",
        panoptic_target_generator: PanopticDeepLabTargetGenerator,
        **kwargs: Any,
    ) -> None:
        super().__init__(is_train=True, augmentations=augmentations, image_format=image_format, **kwargs)
        self.panoptic_target_generator = panoptic_target_generator

    def __call__(self, dataset_dict: Record, rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Map one record, which is not changed.

        Args:
            rng: what the augmentations draw from; a fresh one when None.

        Raises:
            FileNotFoundError, ImageError: the image or its segments cannot be read, or have another size than
                the record says.
            ValueError: the record has no segments, or segments that the target generator does not take.
        """
        record = dict(dataset_dict)
        rng = np.random.default_rng() if rng is None else rng
        image = self.load_image(record)
        check_image_size(record, image)
        segments = record.pop("segments_info", None)
        if segments is None:
            raise ValueError(
                f"{describe(record)} has no 'segments_info': PanopticDeeplabDatasetMapper needs a data set "
                "of panoptic segments, such as CityscapesPanoptic"
            )
        ids, segments = _numbered(self._segment_ids(record), segments)
        for name in ("image", "sem_seg", "sem_seg_file_name", "annotations"):
            record.pop(name, None)
        aug_input = AugInput(image, sem_seg=torch.from_numpy(ids), channel_order=self.image_format)
        self.augmentations(aug_input, rng)
        record["image"] = torch.as_tensor(aug_input.image).contiguous()
        try:
            targets = self.panoptic_target_generator(np.asarray(aug_input.sem_seg), segments)
        except ValueError as error:
            raise ValueError(f"{describe(dataset_dict)}: {error}") from None
        return record | targets

    def _segment_ids(self, record: Record) -> np.ndarray:
        """Return the ids (H, W) of a record's segments, which it keeps no longer."""
        file_name, ids = record.pop("pan_seg_file_name", None), record.pop("pan_seg", None)
        if file_name is None and ids is None:
            raise ValueError(f"{describe(record)} has neither 'pan_seg' nor 'pan_seg_file_name'")
        ids = read_segment_ids(file_name) if ids is None else np.asarray(ids)
        expected = (record["height"], record["width"])
        if ids.shape != expected:
            raise ImageError(
                f"{describe(record)}: the segments {file_name or 'of the record'} are {ids.shape[1]}x"
                f"{ids.shape[0]} (width x height), the image {expected[1]}x{expected[0]}"
            )
        return ids


def _numbered(
    ids: np.ndarray, segments: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return small ids that can be augmented as labels, 0 for pixels that are in no segment.

    No segment gets 255, which augmentations fill new pixels with.
    """
    known = np.array([int(segment["id"]) for segment in segments], dtype=np.int64)
    first = 1 if len(known) < 255 else 256
    order = known.argsort(kind="stable")
    table = np.append(order + first, 0).astype(np.uint8 if first == 1 else np.int32)
    position = np.searchsorted(known[order], ids)
    found = np.append(known[order], -1)[position] == ids
    numbers = table[np.where(found, position, len(known))]
    return numbers, [{**segment, "id": first + i} for i, segment in enumerate(segments)]
