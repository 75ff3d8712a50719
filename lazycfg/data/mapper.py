"""From a record of a dataset to what a model takes."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch

from lazycfg.structures import BitMasks, Instances, Keypoints, PolygonMasks

from .datasets.base import Record, describe
from .datasets.label_maps import read_labels
from .detection_utils import (
    MaskFormat,
    annotations_to_instances,
    annotations_to_instances_rotated,
    check_image_size,
    filter_empty_instances,
    transform_annotations,
    transform_proposals,
)
from .image import MAX_IMAGE_PIXELS, ImageError, ImageFormat, image_to_tensor, read_image, visible_rgb
from .mixing import AnnotationForms, MultiImageAugmentation, Sample, SampleAugmentations, boxes_of
from .transforms import AugInput, Augmentation, AugmentationList, Transform, TransformList

AnyAugmentation = Augmentation | Transform | MultiImageAugmentation


class DatasetMapper:
    """Read an image, augment it, and turn its annotations into `Instances`.

    The result has "image" (uint8 tensor (3, H, W) in `image_format`; (C, H, W), uint8 or float32, if that is
    "raw"), "height" and "width" (before
    augmentation), whatever else the record had ("file_name", "image_id", ...) and, in training, "instances"
    and "sem_seg" (int64 (H, W), of the record's "sem_seg" or the image "sem_seg_file_name").

    Args:
        is_train: give annotations; else they are left out.
        augmentations: applied in turn. They draw from the generator given to each call. Among them may be
            some that make one image of several (`Mosaic`, `MixUp`, `CopyPaste`), in training; "height" and
            "width" are then those of the mixed image.
        image_format: channel order the model expects, "BGR" or "RGB" ("L": grey). "raw": all channels and
            values of the file, see `read_image`; the model's `pixel_mean` and `pixel_std` then have a number
            for each channel, in the units of the file or, with `value_range`, of 0 to 255.
        use_instance_mask: give `gt_masks`.
        instance_mask_format: "polygon" (cut out later, sharp at any size) or "bitmask" (made here, in the
            worker).
        use_rotated_box: give `gt_boxes` as `RotatedBoxes`; upright boxes have the angle 0.
        use_keypoint: give `gt_keypoints`.
        keypoint_hflip_indices: see `create_keypoint_hflip_indices`; needed if augmentations mirror.
        precomputed_proposal_topk: give the best so many of the record's proposals.
        recompute_boxes: take boxes from the masks after augmentation, which is tighter when crops cut
            through.
        max_image_pixels, value_range: see `read_image`.
        reader: called with the name of a file in place of `read_image`, for files of other kinds; gives an
            array (H, W, C) as "image" of a record is one: RGB uint8, or any numbers if `image_format` is
            "raw". What it raises is told with the name of the file.
    """

    def __init__(
        self,
        *,
        is_train: bool,
        augmentations: Sequence[AnyAugmentation] = (),
        image_format: ImageFormat = "BGR",
        use_instance_mask: bool = False,
        instance_mask_format: MaskFormat = "polygon",
        use_rotated_box: bool = False,
        use_keypoint: bool = False,
        keypoint_hflip_indices: np.ndarray | Sequence[int] | None = None,
        precomputed_proposal_topk: int | None = None,
        recompute_boxes: bool = False,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        value_range: tuple[float, float] | None = None,
        reader: Callable[[str], np.ndarray | torch.Tensor] | None = None,
    ) -> None:
        if recompute_boxes and not use_instance_mask:
            raise ValueError("DatasetMapper: recompute_boxes=True needs use_instance_mask=True")
        if recompute_boxes and use_rotated_box:
            raise ValueError("DatasetMapper: recompute_boxes=True gives upright boxes, not use_rotated_box")
        if instance_mask_format not in ("polygon", "bitmask"):
            raise ValueError(
                'DatasetMapper: instance_mask_format must be "polygon" or "bitmask", '
                f"got {instance_mask_format!r}"
            )
        self.is_train = is_train
        self._set_augmentations(augmentations)
        self.image_format: ImageFormat = image_format
        self.use_instance_mask = use_instance_mask
        self.instance_mask_format: MaskFormat = instance_mask_format
        self.use_rotated_box = use_rotated_box
        self.use_keypoint = use_keypoint
        self.keypoint_hflip_indices = (
            None if keypoint_hflip_indices is None else np.asarray(keypoint_hflip_indices, dtype=np.int64)
        )
        self.precomputed_proposal_topk = precomputed_proposal_topk
        self.recompute_boxes = recompute_boxes
        self.max_image_pixels = max_image_pixels
        self.value_range = value_range
        self.reader = reader
        if self.mixing and precomputed_proposal_topk is not None:
            raise ValueError(f"{type(self).__name__}: proposals are of one image, not of a mixed one")

    def _set_augmentations(self, augmentations: Sequence[AnyAugmentation]) -> None:
        """Keep augmentations up to the last that mixes images in `mixing`, the others in `augmentations`."""
        whole = SampleAugmentations(augmentations).augs
        mixing = [i for i, aug in enumerate(whole) if isinstance(aug, MultiImageAugmentation)]
        split = mixing[-1] + 1 if mixing else 0
        self.mixing = SampleAugmentations(whole[:split])
        self.augmentations = AugmentationList(whole[split:])
        if not mixing:
            return
        name, first = type(self).__name__, type(whole[mixing[0]]).__name__
        if not self.is_train:
            raise ValueError(f"{name}: {first} makes one image of several, which is for training only")
        if "others" not in inspect.signature(type(self).__call__).parameters:
            raise ValueError(f"{name} cannot mix images: its __call__ takes no `others`, which {first} needs")
        if type(self).further_fields is not DatasetMapper.further_fields:
            raise ValueError(
                f"{name} gives fields to the instances (further_fields) that {first} would not move along"
            )

    def with_augmentations(self, augmentations: Sequence[AnyAugmentation] | None) -> Self:
        """Return a mapper that is like this one, but for its augmentations.

        Args:
            augmentations: None for those of this mapper, without what makes one image of several.
        """
        other = copy.copy(self)
        if augmentations is None:
            kept = [aug for aug in self.mixing.augs if isinstance(aug, Augmentation)]
            augmentations = [*kept, *self.augmentations.augs]
        other._set_augmentations(augmentations)
        return other

    def __call__(
        self,
        dataset_dict: Record,
        rng: np.random.Generator | None = None,
        others: Sequence[Record] | None = None,
    ) -> dict[str, Any]:
        """Map one record, which is not changed.

        Args:
            rng: what the augmentations draw from; a fresh one when None.
            others: records that may be mixed in; the loader gives those of its dataset.

        Raises:
            FileNotFoundError, ImageError: the image cannot be read, or has another size than the record
                says.
            ValueError: an annotation lacks what is asked for; there are no other records to mix in.
        """
        record = dict(dataset_dict)
        rng = np.random.default_rng() if rng is None else rng
        if self.mixing:
            image, annotations, sem_seg = self._mixed(record, rng, others)
        else:
            image, sem_seg = self._load(record)
            annotations = [a for a in record.pop("annotations", ()) if self.is_train and self._is_wanted(a)]

        boxes = boxes_of(annotations)
        aug_input = AugInput(image, boxes=boxes, sem_seg=sem_seg, channel_order=self.image_format)
        transforms = self.augmentations(aug_input, rng)
        image = torch.as_tensor(aug_input.image)
        size = (int(image.shape[-2]), int(image.shape[-1]))
        record["image"] = image.contiguous()
        if aug_input.sem_seg is not None:
            record["sem_seg"] = torch.as_tensor(aug_input.sem_seg).long()
        if self.precomputed_proposal_topk is not None:
            transform_proposals(record, size, transforms, topk=self.precomputed_proposal_topk)
        if self.is_train and "annotations" in dataset_dict:
            record["instances"] = self._instances(annotations, transforms, size, dataset_dict, rng)
        return record

    def _load(self, record: Record) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the image of a record, and its labels, which it keeps no longer."""
        image = self.load_image(record)
        check_image_size(record, image)
        record.pop("pan_seg", None)  # would not follow the augmentations
        return image, self._sem_seg(record)

    def _mixed(
        self, record: Record, rng: np.random.Generator, others: Sequence[Record] | None
    ) -> tuple[torch.Tensor, list[dict[str, Any]], torch.Tensor | None]:
        """Return image, annotations and labels of a record, which it keeps no longer, mixed with others."""
        if others is None or len(others) == 0:
            raise ValueError(
                f"{type(self).__name__} has augmentations that mix images, and no other records to take them "
                "from: call it as mapper(record, rng=rng, others=dataset)"
            )

        def draw_other(rng: np.random.Generator) -> Sample:
            index = int(rng.integers(len(others)))
            other = dict(others[index])
            try:
                return self._sample(other)
            except Exception as error:
                error.add_note(f"while reading {describe(other, index)}, to mix it in")
                raise

        sample = self.mixing(self._sample(record), draw_other, rng)
        record["height"], record["width"] = sample.image_size
        annotations = [a for a in sample.annotations if not a.get("iscrowd", 0)]
        return sample.image, annotations, sample.sem_seg

    def _sample(self, record: Record) -> Sample:
        """Return what can be mixed of a record, which keeps its image and annotations no longer."""
        name = describe(record)
        image, sem_seg = self._load(record)
        record.pop("image", None)
        left_out = {
            *(() if self.use_instance_mask or self.mixing.needs_masks else ("segmentation",)),
            *(() if self.use_keypoint else ("keypoints",)),
        }
        annotations = [
            {k: v for k, v in a.items() if k not in left_out}
            for a in record.pop("annotations", ())
            if self._is_usable(a)
        ]
        forms = AnnotationForms(self.instance_mask_format, self.use_rotated_box, self.keypoint_hflip_indices)
        return Sample(image, annotations, sem_seg, self.image_format, forms, name)

    def further_fields(
        self,
        annotations: list[dict[str, Any]],
        transforms: TransformList,
        image_size: tuple[int, int],
        record: Record,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """Return fields of the instances by name that this mapper knows nothing of: for a subclass, that
        wants more of the annotations than boxes, masks and keypoints.

        Args:
            annotations: of the objects, as the record has them, before `transforms`.
            image_size: (height, width) after them.
            record: for messages, see `describe`.
            rng: what anything random is to draw from.

        Returns:
            values with one row for each annotation, such as tensors (N, ...); those of objects that have left
            the image are dropped later.
        """
        return {}

    def load_image(self, record: Record, format: ImageFormat | None = None) -> torch.Tensor:
        """Return the image of a record as it is before augmentation, a uint8 tensor (3, H, W); (C, H, W),
        uint8 or float32, for "raw".

        Args:
            format: channel order; None: `image_format`.

        Raises:
            FileNotFoundError, ImageError: it cannot be read.
        """
        format = self.image_format if format is None else format
        if "image" in record:
            return image_to_tensor(record["image"], format, value_range=self.value_range)
        if not isinstance(record.get("file_name"), str | os.PathLike):
            raise ImageError(f"{describe(record)} has no 'file_name' and no 'image'")
        if self.reader is not None:
            file_name = os.fspath(record["file_name"])
            try:
                return image_to_tensor(self.reader(file_name), format, value_range=self.value_range)
            except Exception as error:
                error.add_note(f"while reading {file_name!r} with the reader of the mapper")
                raise
        return read_image(
            record["file_name"], format, max_pixels=self.max_image_pixels, value_range=self.value_range
        )

    def _is_wanted(self, annotation: dict[str, Any]) -> bool:
        """Return whether an annotation is no crowd region and `_is_usable`."""
        return annotation.get("iscrowd", 0) == 0 and self._is_usable(annotation)

    def _is_usable(self, annotation: dict[str, Any]) -> bool:
        """Return whether an annotation has everything that is asked for in a usable form."""
        unusable = annotation.get("unusable", ())
        masks = self.use_instance_mask or self.mixing.needs_masks
        return not ((masks and "segmentation" in unusable) or (self.use_keypoint and "keypoints" in unusable))

    def _instances(
        self,
        annotations: list[dict[str, Any]],
        transforms: TransformList,
        size: tuple[int, int],
        record: Record,
        rng: np.random.Generator,
    ) -> Any:
        wanted = {"segmentation": self.use_instance_mask, "keypoints": self.use_keypoint}
        for key in (k for k, want in wanted.items() if want):
            for number, annotation in enumerate(annotations):
                if annotation.get(key) is None:
                    option = "use_instance_mask" if key == "segmentation" else "use_keypoint"
                    raise ValueError(
                        f"{describe(record)}: annotation {number} has no {key!r}, which "
                        f"DatasetMapper({option}=True) needs"
                    )
        annotations = [{k: v for k, v in a.items() if wanted.get(k, True)} for a in annotations]
        moved = transform_annotations(
            annotations,
            transforms,
            size,
            keypoint_hflip_indices=self.keypoint_hflip_indices,
            mask_format=self.instance_mask_format,
            rotated=self.use_rotated_box,
        )
        make = annotations_to_instances_rotated if self.use_rotated_box else annotations_to_instances
        instances = make(moved, size, self.instance_mask_format)
        if not moved:
            self._add_empty_fields(instances)
        if self.recompute_boxes and instances.has("gt_masks"):
            kept = instances.gt_boxes.nonempty()
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
            instances.gt_boxes.tensor[~kept] = 0.0  # a crop has dropped the object
        for name, value in self.further_fields(annotations, transforms, size, record, rng).items():
            instances.set(name, value)
        return filter_empty_instances(instances)

    def _add_empty_fields(self, instances: Instances) -> None:
        """Give an image without instances the fields of one with instances, so that batches are alike."""
        if self.use_instance_mask:
            nothing = torch.zeros(0, *instances.image_size, dtype=torch.bool)
            instances.gt_masks = (
                PolygonMasks([]) if self.instance_mask_format == "polygon" else BitMasks(nothing)
            )
        if self.use_keypoint:
            count = 0 if self.keypoint_hflip_indices is None else len(self.keypoint_hflip_indices)
            instances.gt_keypoints = Keypoints(torch.zeros(0, count, 3))

    def _sem_seg(self, record: Record) -> torch.Tensor | None:
        """Labels (H, W) of a record, which it keeps no longer."""
        file_name, labels = record.pop("sem_seg_file_name", None), record.pop("sem_seg", None)
        if not self.is_train or (file_name is None and labels is None):
            return None
        labels = np.asarray(read_labels(file_name) if labels is None else labels)
        expected = (record["height"], record["width"])
        if labels.shape != expected:
            raise ImageError(
                f"{describe(record)}: the label map {file_name or 'of the record'} is "
                f"{labels.shape[1]}x{labels.shape[0]} (width x height), its image "
                f"{expected[1]}x{expected[0]}"
            )
        return torch.from_numpy(labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.int32))

    def __repr__(self) -> str:
        return f"DatasetMapper({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def load_rgb(record: Record, mapper: Any = None) -> torch.Tensor:
    """Return the image of a record, uint8 (3, H, W) RGB, to draw on; of a "raw" one see `visible_rgb`.

    Args:
        mapper: reads the image if it is a `DatasetMapper`.
    """
    loader = mapper if isinstance(mapper, DatasetMapper) else DatasetMapper(is_train=False)
    return (
        visible_rgb(loader.load_image(record))
        if loader.image_format == "raw"
        else loader.load_image(record, "RGB")
    )
