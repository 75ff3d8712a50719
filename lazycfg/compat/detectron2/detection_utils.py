"""``detectron2.data.detection_utils``: images are arrays (H, W, C), results are as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from lazycfg import data
from lazycfg.data import ImageError
from lazycfg.data.transforms.transform import to_hwc
from lazycfg.structures import (  # noqa: F401
    BitMasks,
    Boxes,
    BoxMode,
    Instances,
    Keypoints,
    PolygonMasks,
    RotatedBoxes,
    polygons_to_bitmask,
)

from . import transforms as T
from .catalogs import MetadataCatalog, as_metadata
from .files import PathManager

SizeMismatchError = ImageError
"""The error of `check_image_size`."""

annotations_to_instances = data.annotations_to_instances
annotations_to_instances_rotated = data.annotations_to_instances_rotated
transform_keypoint_annotations = data.transform_keypoint_annotations

_YUV = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


def read_image(file_name: Any, format: str | None = None) -> np.ndarray:
    """Read an image, turned upright as its EXIF orientation says.

    Args:
        format: "BGR", "RGB", "L", "YUV-BT.601" or a mode of Pillow; None: as it is in the file.

    Returns:
        uint8 array (H, W, C), of one channel for "L"; floating point for YUV.

    Raises:
        FileNotFoundError, ImageError: it cannot be read.
    """
    path = PathManager.get_local_path(file_name)
    if format in ("BGR", "RGB", "L"):
        return np.array(to_hwc(data.read_image(path, format)))  # its own memory, which may be written to
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
        return convert_PIL_to_numpy(picture, format)


def convert_PIL_to_numpy(image: Image.Image, format: str | None) -> np.ndarray:
    """Return the array (H, W, C) of a Pillow image in a format, see `read_image`."""
    if format is not None:
        image = image.convert("RGB" if format in ("BGR", "YUV-BT.601") else format)
    array = np.asarray(image)
    if format == "L":
        return array[..., None]
    if format == "BGR":
        return array[..., ::-1]
    if format == "YUV-BT.601":
        return array / 255.0 @ _YUV.T
    return array


def convert_image_to_rgb(image: Any, format: str) -> np.ndarray:
    """Return an image (H, W, C) of a format as uint8 RGB."""
    array = image.cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if format == "BGR":
        return array[..., [2, 1, 0]]
    if format == "YUV-BT.601":
        return (array @ np.linalg.inv(_YUV).T * 255.0).astype(np.uint8)
    if format == "L":
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return array if format == "RGB" else np.asarray(Image.fromarray(array, mode=format).convert("RGB"))


def _apply_exif_orientation(image: Image.Image) -> Image.Image:
    """Return a Pillow image turned upright as its EXIF orientation says."""
    return ImageOps.exif_transpose(image)


def load_image_into_numpy_array(filename: str, dtype: Any = None) -> np.ndarray:
    """Return the values of an image file as they are."""
    return np.array(data.image.read_array(PathManager.get_local_path(filename)), dtype=dtype)


def check_image_size(dataset_dict: dict[str, Any], image: np.ndarray) -> None:
    """Compare an image (H, W, C) with its record, and fill in "height" and "width" where it has none.

    Raises:
        SizeMismatchError: they differ.
    """
    if isinstance(image, torch.Tensor) and image.ndim == 3 and image.shape[2] in (1, 3, 4) < image.shape[:2]:
        image = image.numpy()  # (H, W, C), as everywhere here
    data.check_image_size(dataset_dict, image)


def transform_instance_annotations(
    annotation: dict[str, Any],
    transforms: Any,
    image_size: tuple[int, int],
    *,
    keypoint_hflip_indices: Any = None,
) -> dict[str, Any]:
    """Apply transforms to box, mask and keypoints of an annotation, in place, and return it.

    Polygons become flat arrays, a run-length encoded mask an array (H, W). The box is clipped to the image.
    """
    steps = transforms if isinstance(transforms, T.Transform) else T.TransformList(list(transforms))
    moved = data.transform_instance_annotations(
        annotation, steps, image_size, keypoint_hflip_indices=keypoint_hflip_indices
    )
    annotation.update(moved)
    return annotation


def transform_proposals(
    dataset_dict: dict[str, Any],
    image_shape: tuple[int, int],
    transforms: Any,
    *,
    proposal_topk: int,
    min_box_size: float = 0,
) -> None:
    """Replace the proposals of a record by "proposals", `Instances` with the best after the transforms."""
    data.transform_proposals(
        dataset_dict, image_shape, transforms, topk=proposal_topk, min_box_size=min_box_size
    )


def filter_empty_instances(
    instances: Instances,
    by_box: bool = True,
    by_mask: bool = True,
    box_threshold: float = 1e-5,
    return_mask: bool = False,
) -> Any:
    """Return the instances that are not empty; with `return_mask` also which those are, (N,) bool."""
    kept = data.filter_empty_instances(instances, by_box=by_box, by_mask=by_mask, box_threshold=box_threshold)
    if not return_mask:
        return kept
    numbered = Instances(instances.image_size, **instances.get_fields(), number=torch.arange(len(instances)))
    number = data.filter_empty_instances(
        numbered, by_box=by_box, by_mask=by_mask, box_threshold=box_threshold
    ).number
    mask = torch.zeros(len(instances), dtype=torch.bool)
    mask[number] = True
    return kept, mask


def create_keypoint_hflip_indices(dataset_names: str | Sequence[str]) -> list[int]:
    """Return which keypoint takes the place of which when the image is mirrored, of registered data sets.

    Raises:
        ValueError: the data sets differ in it.
    """
    names = [dataset_names] if isinstance(dataset_names, str) else list(dataset_names)
    check_metadata_consistency("keypoint_names", names)
    check_metadata_consistency("keypoint_flip_map", names)
    return data.create_keypoint_hflip_indices(as_metadata(names[0])).tolist()


def check_metadata_consistency(key: str, dataset_names: Sequence[str]) -> None:
    """Compare a value in the metadata of several data sets.

    Raises:
        ValueError: they differ.
    """
    if not dataset_names:
        return
    values = [getattr(MetadataCatalog.get(name), key, None) for name in dataset_names]
    for name, value in zip(dataset_names, values, strict=True):
        if value != values[0]:
            raise ValueError(
                f"datasets have different {key}: {dataset_names[0]!r} has {values[0]!r}, {name!r} {value!r}"
            )


def get_fed_loss_cls_weights(
    dataset_names: str | Sequence[str], freq_weight_power: float = 1.0
) -> torch.Tensor:
    """Return (K,) how likely each class is to be drawn for the federated loss: its images to a power.

    Raises:
        ValueError: the metadata of the data set does not tell the number of images of its classes.
    """
    names = [dataset_names] if isinstance(dataset_names, str) else list(dataset_names)
    check_metadata_consistency("class_image_count", names)
    counts = getattr(MetadataCatalog.get(names[0]), "class_image_count", None)
    if counts is None:
        raise ValueError(
            f"the metadata of {names[0]!r} has no class_image_count: read the data set first "
            f"(DatasetCatalog.get({names[0]!r})), whose file tells it"
        )
    ordered = sorted(counts, key=lambda each: each["id"])
    return torch.tensor([each["image_count"] for each in ordered]).float() ** freq_weight_power


def gen_crop_transform_with_instance(
    crop_size: Sequence[int], image_size: Sequence[int], instance: dict[str, Any]
) -> Any:
    """Return a crop (height, width) of an image (height, width) with the middle of an instance's box in it.

    Raises:
        ValueError: the box lies outside the image.
    """
    height, width = (min(int(c), int(s)) for c, s in zip(crop_size, image_size, strict=True))
    box = BoxMode.convert(list(instance["bbox"]), instance["bbox_mode"], BoxMode.XYXY_ABS)
    x, y = (box[0] + box[2]) * 0.5, (box[1] + box[3]) * 0.5
    if not (image_size[0] >= y >= 0 and image_size[1] >= x >= 0):
        raise ValueError(f"the middle of the annotation's box {box} is outside the image {tuple(image_size)}")
    low = [max(int(np.floor(c)) - s, 0) for c, s in ((y, height), (x, width))]
    high = [
        max(min(int(np.floor(c)), total - s), 0)
        for c, s, total in ((y, height, image_size[0]), (x, width, image_size[1]))
    ]
    y0, x0 = (int(np.random.randint(min(a, b), b + 1)) for a, b in zip(low, high, strict=True))
    return T.CropTransform(x0, y0, width, height)


def build_augmentation(cfg: Any, is_train: bool) -> list[Any]:
    """Return the resize, and in training the flip, that a config asks for."""
    if is_train:
        sizes, longest, style = (
            cfg.INPUT.MIN_SIZE_TRAIN,
            cfg.INPUT.MAX_SIZE_TRAIN,
            cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING,
        )
    else:
        sizes, longest, style = cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST, "choice"
    augmentations: list[Any] = [T.ResizeShortestEdge(sizes, longest, style)]
    if is_train and cfg.INPUT.RANDOM_FLIP != "none":
        augmentations.append(
            T.RandomFlip(
                horizontal=cfg.INPUT.RANDOM_FLIP == "horizontal", vertical=cfg.INPUT.RANDOM_FLIP == "vertical"
            )
        )
    return augmentations


build_transform_gen = build_augmentation
