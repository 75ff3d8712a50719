"""Images and ground truth of a batch onto the device: padded on the host, each copied once."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import BitMasks, ImageList, Instances

from .batched_instances import joinable
from .padding import pad_bitmasks
from .transfer import copy_over

__all__ = ["batch_images", "instances_to_device"]

# What numpy knows too
HOST_DTYPES = (
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
)


@torch.compiler.disable
def batch_images(
    images: Sequence[Tensor],
    pixel_mean: Tensor,
    pixel_std: Tensor,
    size_divisibility: int = 0,
    padding_constraints: Mapping[str, int] | None = None,
) -> ImageList:
    """Normalise and pad images: ``(image - mean) / std``, and 0 on the padding.

    Args:
        images: (C, H_i, W_i) of any number type and on any device.
        pixel_mean, pixel_std: (C, 1, 1) on the device of the model.
        size_divisibility, padding_constraints: see `ImageList.from_tensors`.

    Returns:
        float (N, C, H, W) on the device of `pixel_mean`.

    Raises:
        TypeError: an image is no tensor.
        ValueError: there is no image, or one has another number of channels than `pixel_mean`.
    """
    if not len(images):
        raise ValueError("a batch without images: training needs at least one")
    for image in images:
        if not isinstance(image, Tensor):
            expected = "a tensor (channels, height, width)"
            raise TypeError(f"the 'image' of an input is {expected}, got {type(image).__name__}")
        if image.ndim == 3 and image.shape[0] != pixel_mean.shape[0]:
            raise ValueError(
                f"an image has {image.shape[0]} channels, and pixel_mean of the model is for "
                f"{pixel_mean.shape[0]}"
            )
    batch = batch_maps(images, pixel_mean.device, 0, size_divisibility, padding_constraints)
    sizes = batch.image_sizes
    tensor = (batch.tensor - pixel_mean) / pixel_std
    if any(size != tuple(tensor.shape[-2:]) for size in sizes):
        tensor = tensor.masked_fill(~batch.valid_mask()[:, None], 0.0)
    return ImageList(tensor, sizes)


@torch.compiler.disable
def batch_maps(
    maps: Sequence[Tensor],
    device: torch.device,
    pad_value: float = 0,
    size_divisibility: int = 0,
    padding_constraints: Mapping[str, int] | None = None,
) -> ImageList:
    """Images or label maps (..., H_i, W_i) padded to one size, on the device: one copy for all of them, or
    one for each that is in page-locked memory.

    Maps of several types are brought to one that holds all their numbers. Gradients reach images that want
    them.

    Args: see `ImageList.from_tensors`.
    """
    sizes = [(int(x.shape[-2]), int(x.shape[-1])) for x in maps]
    alike = len({(x.device.type, x.dtype, x.shape[:-2]) for x in maps}) == 1
    plain = alike and maps[0].dtype in HOST_DTYPES and not any(x.requires_grad for x in maps)
    if plain and maps[0].device.type == "cpu" and not can_go_alone(maps, device):
        size = ImageList.padded_size(sizes, size_divisibility, padding_constraints)
        padded = pad_on_host(maps, size, device, pad_value)
        return ImageList(padded.to(device, non_blocking=True), sizes)
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in maps))
    moved = [x.to(device, dtype, non_blocking=True) for x in maps]
    return ImageList.from_tensors(moved, size_divisibility, pad_value, padding_constraints)


def pad_on_host(
    images: Sequence[Tensor], size: tuple[int, int], device: torch.device, pad_value: float = 0
) -> Tensor:
    """Return images (C, h, w) in one array (N, C, height, width), in page-locked memory if they are to go to
    a GPU.
    """
    first = images[0]
    if len(images) == 1 and tuple(first.shape[-2:]) == size:
        return first[None]
    shape = (len(images), *first.shape[:-2], *size)
    batch = torch.empty(shape, dtype=first.dtype, pin_memory=device.type == "cuda")
    target = batch.numpy()
    for row, image in zip(target, images, strict=True):
        height, width = image.shape[-2:]
        np.copyto(row[..., :height, :width], np.from_dlpack(image))
        row[..., :height, width:] = row[..., height:, :] = pad_value
    return batch


def can_go_alone(tensors: Sequence[Tensor], device: torch.device) -> bool:
    """Return whether tensors of any shape are in page-locked memory, as the data loader leaves them.

    A GPU then fetches each by itself while the host goes on, and gathering them on the host would only cost
    time.
    """
    return device.type == "cuda" and all(x.is_pinned() for x in tensors)


@torch.compiler.disable
def instances_to_device(instances: Sequence[Instances], device: torch.device) -> list[Instances]:
    """Return the ground truth of a batch on the device: one copy per field, not one per field and image."""
    if not len(instances):
        return []
    if all(x.has("gt_boxes") and x.gt_boxes.tensor.device == device for x in instances):
        return [x.to(device, non_blocking=True) for x in instances]
    names = list(instances[0].get_fields())
    if any(list(x.get_fields()) != names for x in instances):
        return [x.to(device, non_blocking=True) for x in instances]
    counts = [len(x) for x in instances]
    out = [Instances(x.image_size) for x in instances]
    for name in names:
        for new, value in zip(
            out, field_to_device([x.get(name) for x in instances], counts, device), strict=True
        ):
            new.set(name, value)
    return out


def field_to_device(values: Sequence[Any], counts: Sequence[int], device: torch.device) -> list[Any]:
    """Return one field of all images on the device."""
    first = values[0]
    if all(isinstance(value, BitMasks) for value in values):
        tensors = [value.tensor for value in values]
        if can_go_alone(tensors, device):
            masks = pad_bitmasks([x.to(device, non_blocking=True) for x in tensors])
        else:
            masks = copy_over(pad_bitmasks(tensors, pin=device.type == "cuda"), device)
        sizes = [value.image_size for value in values]
        return [BitMasks(p[:, :h, :w]) for p, (h, w) in zip(masks.split(list(counts)), sizes, strict=True)]
    tensors = joinable(values)
    if tensors is not None:
        parts = copy_over(torch.cat(tensors), device).split(list(counts))
        return list(parts) if isinstance(first, Tensor) else [type(first)(part) for part in parts]
    return [value.to(device, non_blocking=True) if hasattr(value, "to") else value for value in values]
