"""Fields of the `Instances` of a whole batch at once: joined, split, and rows of them selected.

Nothing is cached: each result is made of the fields as they are when the function is called.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import BitMasks, Boxes, Instances, Keypoints, ROIMasks, RotatedBoxes
from lazycfg.structures.bit_masks import IndexedBitMasks

from .transfer import upload

__all__ = [
    "ImageSizes",
    "append_instances",
    "cat_field",
    "check_batch",
    "field_names",
    "joinable",
    "select_rows",
    "split_instances",
]

ImageSizes = Sequence[tuple[int, int]]

# What is nothing but a tensor with one row per object, and is made from it again
TENSOR_FIELDS = (Boxes, RotatedBoxes, Keypoints, ROIMasks)


def cat_field(instances: Sequence[Instances], name: str) -> Tensor:
    """Return one field of all images joined to one tensor (N, ...); of boxes, keypoints and the like their
    `tensor`.

    An image without objects may lack the field.

    Raises:
        KeyError: an image has objects and no such field, or no image has it.
    """
    values = [x.get(name) for x in instances if x.has(name) or len(x)]
    if not values:
        raise KeyError(f"none of {len(instances)} Instances has the field '{name}'")
    return torch.cat([value if isinstance(value, Tensor) else value.tensor for value in values])


def check_batch(instances: Sequence[Any], images: int, what: str) -> None:
    """Check that there is one `Instances` for each image.

    Args:
        what: where they come from, for the message.

    Raises:
        TypeError: an element is something else.
        ValueError: they are more or fewer than the images.
    """
    for i, x in enumerate(instances):
        if not isinstance(x, Instances):
            raise TypeError(f"{what}: element {i} is a {type(x).__name__}, expected Instances")
    if len(instances) != images:
        raise ValueError(
            f"{what}: {len(instances)} Instances for {images} images. There must be one for each image; "
            "to leave out all objects of an image, return instances[:0] for it"
        )


def field_names(instances: Sequence[Instances]) -> list[str]:
    """Return the names of all fields, in the order of their first appearance."""
    return list(dict.fromkeys(name for x in instances for name in x.get_fields()))


def split_instances(
    image_sizes: ImageSizes,
    counts: Sequence[int],
    fields: Mapping[str, Tensor],
    box_class: type = Boxes,
) -> list[Instances]:
    """Split concatenated fields, each (N, ...), into one `Instances` per image; fields named ``..._boxes``
    become boxes.
    """
    out = [Instances(size) for size in image_sizes]
    for name, tensor in fields.items():
        wrap = box_class if name.endswith("_boxes") else None
        for instances, part in zip(out, tensor.split(list(counts)), strict=True):
            instances.set(name, part if wrap is None else wrap(part))
    return out


def append_instances(first: Sequence[Instances], second: Sequence[Instances]) -> list[Instances]:
    """Join two `Instances` of each image, the first one's objects first: one op per field for all images.

    The fields are those of `first` (of `second`, if the first ones have none); an `Instances` without objects
    may lack some.

    Raises:
        ValueError: objects of one image have fields that the others of it lack.
    """
    names = field_names(first) or field_names(second)
    for i, pair in enumerate(zip(first, second, strict=True)):
        for x in pair:
            missing = [name for name in names if not x.has(name)]
            if len(x) and missing:
                raise ValueError(
                    f"image {i}: objects cannot be joined, some lack {', '.join(map(repr, missing))} "
                    f"(fields: {', '.join(x.get_fields())})"
                )
    out = [Instances(x.image_size) for x in first]
    for name in names:
        of_images = [[x.get(name) for x in pair if x.has(name)] for pair in zip(first, second, strict=True)]
        for x, value in zip(out, _join(of_images), strict=True):
            x.set(name, value)
    return out


def _join(of_images: Sequence[Sequence[Any]]) -> list[Any]:
    """Values of one field, those of each image joined."""
    flat = [value for values in of_images for value in values]
    tensors = joinable(flat)
    if tensors is not None:
        counts = [sum(len(value) for value in values) for values in of_images]
        parts = torch.cat(tensors).split(counts)
        return [part if isinstance(flat[0], Tensor) else type(flat[0])(part) for part in parts]
    holders = [[Instances((0, 0), value=value) for value in values] for values in of_images]
    return [Instances.cat(values).value for values in holders]


def select_rows(
    instances: Sequence[Instances], rows: Sequence[Sequence[int] | np.ndarray]
) -> list[Instances]:
    """Return the instances of each image at (K,) rows of their own, by one gather per field where possible.

    Args:
        instances: per image; a field that only some images have stays theirs.
        rows: per image the rows to take, in their order, on the host; a row may be taken more than once.

    Nothing waits for a device.
    """
    of_images = [np.asarray(own, dtype=np.int64) for own in rows]
    out = [Instances(x.image_size) for x in instances]
    indices = _Indices([len(x) for x in instances], of_images)
    for name in field_names(instances):
        have = [i for i, x in enumerate(instances) if x.has(name)]
        values = [instances[i].get(name) for i in have]
        tensors = joinable(values)
        if tensors is not None:
            picked = torch.cat(tensors)[indices.joined(have, tensors[0].device)]
            parts: Sequence[Any] = picked.split([len(of_images[i]) for i in have])
            if not isinstance(values[0], Tensor):
                parts = [type(values[0])(part) for part in parts]
        elif all(isinstance(value, IndexedBitMasks) for value in values):
            sources, own = zip(*(value.shared() for value in values), strict=True)
            picked = torch.cat(own)[indices.joined(have, own[0].device)]
            shared = zip(sources, picked.split([len(of_images[i]) for i in have]), strict=True)
            parts = [IndexedBitMasks(source, part) for source, part in shared]
        else:
            parts = [indices.pick(value, i) for i, value in zip(have, values, strict=True)]
        for i, part in zip(have, parts, strict=True):
            out[i].set(name, part)
    return out


class _Indices:
    """The rows of each image, on the devices of the fields: each copied there once."""

    def __init__(self, counts: Sequence[int], rows: Sequence[np.ndarray]) -> None:
        self._counts = counts
        self._rows = rows
        self._joined: dict[tuple[Any, ...], Tensor] = {}
        self._own: dict[torch.device, Sequence[Tensor]] = {}

    def joined(self, images: Sequence[int], device: torch.device) -> Tensor:
        """Return (K,) int64 rows of the concatenation of these images."""
        key = (tuple(images), device)
        if key not in self._joined:
            starts = np.cumsum([0, *(self._counts[i] for i in images)])
            index = [self._rows[i] + start for i, start in zip(images, starts, strict=False)]
            self._joined[key] = upload(np.concatenate(index), device, torch.int64)
        return self._joined[key]

    def pick(self, value: Any, image: int) -> Any:
        """Return the rows of a field of one image."""
        rows = self._rows[image]
        if isinstance(value, (list, tuple)):
            return type(value)(value[i] for i in rows.tolist())
        device = value.device if hasattr(value, "device") else torch.device("cpu")
        if device.type == "cpu" and not isinstance(value, BitMasks):
            return value[rows]  # polygons and the like, which are no tensors
        if device not in self._own:
            flat = upload(np.concatenate(self._rows), device, torch.int64)
            self._own[device] = flat.split([len(own) for own in self._rows])
        own = self._own[device][image]
        return value.take(own) if isinstance(value, BitMasks) else value[own]


def joinable(values: Sequence[Any]) -> list[Tensor] | None:
    """Return the tensors (N, ...) of values that can be joined and made again from the result; None if they
    cannot.
    """
    kind = type(values[0])
    if not (isinstance(values[0], Tensor) or kind in TENSOR_FIELDS):
        return None
    if any(type(value) is not kind for value in values):
        return None
    tensors = [value if isinstance(value, Tensor) else value.tensor for value in values]
    like = {(t.shape[1:], t.dtype, t.device) for t in tensors}
    return tensors if len(like) == 1 else None
