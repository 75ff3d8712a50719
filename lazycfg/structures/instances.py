"""The objects of one image: equally long fields under names."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.utils.suggest import closest

__all__ = ["Instances"]

# Types of numbers that index: not uint8, which torch takes for a mask
INDEX_TYPES = (torch.int8, torch.int16, torch.int32, torch.int64)


class Instances:
    """N objects of one image, each described by the fields ``gt_boxes``, ``scores``, ``pred_masks``, ...

    ::

        instances = Instances((480, 640), scores=torch.rand(3))
        instances.pred_boxes = Boxes(torch.rand(3, 4))   # the length is checked
        confident = instances[instances.scores > 0.5]    # every field is indexed
        "scores" in instances, instances.get_fields(), Instances.cat([instances, confident])

    A field is anything with a length that can be indexed: a tensor, ``Boxes``, masks, a list. Names that
    begin with an underscore are plain attributes, not fields.
    """

    _image_size: tuple[int, int]
    _fields: dict[str, Any]

    def __init__(self, image_size: tuple[int, int], **fields: Any) -> None:
        """Hold the objects of an image.

        Args:
            image_size: (height, width) of the image in pixels.
            **fields: the first fields.
        """
        self._image_size = image_size
        self._fields = {}
        for name, value in fields.items():
            self.set(name, value)

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._image_size

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self.set(name, value)

    def __getattr__(self, name: str) -> Any:
        # Reached only when there is no such attribute. Copying and unpickling ask before `_fields` exists.
        if name.startswith("_") or "_fields" not in self.__dict__:
            raise AttributeError(name)
        if name not in self._fields:
            raise AttributeError(self._no_field(name), name=name, obj=self)
        return self._fields[name]

    def __delattr__(self, name: str) -> None:
        if name.startswith("_"):
            super().__delattr__(name)
        else:
            self.remove(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    def _no_field(self, name: str) -> str:
        have = ", ".join(self._fields) or "none"
        return (
            f"Cannot find field '{name}' in the given Instances (fields: {have}){closest(name, self._fields)}"
        )

    def set(self, name: str, value: Any) -> None:
        """Add or replace a field.

        Raises:
            ValueError: its length is not that of the other fields.
        """
        if name == "image_size":
            raise AttributeError("image_size is given to Instances(image_size) and does not change")
        if self._fields and len(value) != len(self):
            known = ", ".join(self._fields)
            raise ValueError(f"field '{name}' has length {len(value)}, the others {len(self)} ({known})")
        self._fields[name] = value

    def has(self, name: str) -> bool:
        """Return whether there is a field of that name."""
        return name in self._fields

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def remove(self, name: str) -> None:
        """Remove a field.

        Raises:
            KeyError: there is no such field.
        """
        if name not in self._fields:
            raise KeyError(self._no_field(name))
        del self._fields[name]

    def get(self, name: str) -> Any:
        """Return a field.

        Raises:
            KeyError: there is no such field.
        """
        if name not in self._fields:
            raise KeyError(self._no_field(name))
        return self._fields[name]

    def get_fields(self) -> dict[str, Any]:
        """Return the fields by name, as the live dict: lengths of what is written to it are not checked."""
        return self._fields

    def to(self, *args: Any, **kwargs: Any) -> Instances:
        """Return a copy whose fields are moved with their own ``to()``; fields without one are shared."""
        return self._map(lambda v: v.to(*args, **kwargs) if hasattr(v, "to") else v)

    def pin_memory(self) -> Instances:
        """Return a copy in page-locked memory, from where ``to(device, non_blocking=True)`` does not wait."""
        return self._map(lambda v: v.pin_memory() if hasattr(v, "pin_memory") else v)

    def _map(self, function: Any) -> Instances:
        out = Instances(self._image_size)
        out._fields = {name: function(value) for name, value in self._fields.items()}
        return out

    def __getitem__(
        self, item: int | slice | range | Tensor | np.ndarray | list[int] | list[bool]
    ) -> Instances:
        """Select instances; every field is indexed alike, lists too.

        Args:
            item: a number, a slice, numbers (R,) or a mask (N,) of bools: a list, an array or a tensor.

        Returns:
            Always an ``Instances``, of length 1 for a number.

        Raises:
            IndexError: a number or a mask does not fit the length.
            TypeError: text, a ``uint8`` tensor (is it a mask or a list of numbers?), several dimensions.
        """
        index = self._as_index(item)
        return self._map(lambda v: _index_list(v, index) if isinstance(v, (list, tuple)) else v[index])

    def _as_index(self, item: Any) -> slice | Tensor:
        """Return an index that means the same to every field."""
        if isinstance(item, slice):
            return item
        if isinstance(item, str):
            raise TypeError(
                f"Instances are indexed by numbers, not by {item!r}: a field is an attribute, like "
                "instances.scores, or instances.get('scores'). lazycfg's Predictor returns the Instances "
                "themselves, and a model one dict for each image"
            )
        if isinstance(item, (list, range)):
            item = _as_array(list(item))
        if isinstance(item, np.ndarray):
            item = torch.from_numpy(item)
        if isinstance(item, Tensor) and item.dim() == 1 and item.dtype == torch.bool:
            if len(item) != len(self):
                raise IndexError(f"a mask of length {len(item)} does not fit {len(self)} Instances")
            # The device is asked once here instead of once per field.
            return item.nonzero().squeeze(1)
        if isinstance(item, Tensor) and item.dim() == 1 and item.dtype in INDEX_TYPES:
            return item.long()
        if isinstance(item, (bool, np.bool_)) or not hasattr(item, "__index__") or _is_array(item):
            what = type(item).__name__
            if _is_array(item):
                what = f"{item.dtype} of shape {tuple(item.shape)} (a mask of it is .bool(), numbers .long())"
            raise TypeError(
                f"Instances are indexed by a number, a slice, a list of numbers or a mask of {len(self)} "
                f"bools, not by {what}"
            )
        number, length = operator.index(item), len(self)
        if not -length <= number < length:
            raise IndexError(f"index {number} is out of range for {length} Instances")
        return slice(number, number + 1 or None)

    def __len__(self) -> int:
        """Return the number of instances; 0 while there are no fields: the first one may have any length."""
        return next((len(value) for value in self._fields.values()), 0)

    def __iter__(self) -> Iterator[Instances]:
        """Yield one ``Instances`` of length 1 per object.

        Raises:
            TypeError: there are no fields, so that it is not known how many objects there are.
        """
        if not self._fields:
            raise TypeError(
                "these Instances have no fields, so there is nothing to iterate over. A model returns one "
                'dict for each image: for output in model(batch): output["instances"]'
            )
        return (self[i] for i in range(len(self)))

    @staticmethod
    def cat(instance_lists: list[Instances]) -> Instances:
        """Concatenate all instances of the list, which must have the same fields and image size.

        Raises:
            ValueError: nothing to join, different image sizes or fields, or a field that cannot be joined.
        """
        if not all(isinstance(i, Instances) for i in instance_lists):
            raise TypeError("Instances.cat: expected a list of Instances")
        if len(instance_lists) == 0:
            raise ValueError("Instances.cat: there is nothing to join")
        first = instance_lists[0]
        if len(instance_lists) == 1:
            return first
        for i, other in enumerate(instance_lists[1:], start=1):
            if other.image_size != first.image_size:
                sizes = f"{first.image_size} and {other.image_size}"
                raise ValueError(f"Instances.cat: items 0 and {i} are of images of different sizes: {sizes}")
            if other._fields.keys() != first._fields.keys():
                odd = sorted(other._fields.keys() ^ first._fields.keys())
                raise ValueError(
                    f"Instances.cat: items 0 and {i} do not have the same fields: {', '.join(odd)}"
                )
        out = Instances(first.image_size)
        for name, value in first._fields.items():
            values = [i._fields[name] for i in instance_lists]
            if isinstance(value, Tensor):
                joined: Any = torch.cat(values, dim=0)
            elif isinstance(value, list):
                joined = list(itertools.chain(*values))
            elif hasattr(type(value), "cat"):
                joined = type(value).cat(values)
            else:
                raise ValueError(f"Instances.cat: field '{name}' of type {type(value).__name__} has no cat()")
            out.set(name, joined)
        return out

    def __repr__(self) -> str:
        height, width = self._image_size
        fields = ", ".join(f"{name}: {value}" for name, value in self._fields.items())
        size = f"image_height={height}, image_width={width}"
        return f"Instances(num_instances={len(self)}, {size}, fields=[{fields}])"


def _is_array(item: Any) -> bool:
    """Return whether it is an array or tensor that is no single whole number."""
    if not isinstance(item, (Tensor, np.ndarray)):
        return False
    return item.ndim > 0 or item.dtype not in INDEX_TYPES


def _as_array(items: list[Any]) -> np.ndarray:
    """Return a list of numbers or of bools as an array."""
    kinds = {getattr(item, "dtype", type(item)) in (bool, np.bool_, torch.bool) for item in items}
    if len(kinds) == 2:
        raise TypeError("an index of Instances holds bools and numbers: it is a mask or a list of numbers")
    try:
        numbers = [operator.index(item) for item in items] if kinds != {True} else [bool(i) for i in items]
    except TypeError:
        raise TypeError(f"Instances are indexed by whole numbers or bools, not by {items!r}") from None
    return np.array(numbers, dtype=bool if kinds == {True} else np.int64)


def _index_list(values: Any, item: slice | Tensor) -> Any:
    if isinstance(item, slice):
        return values[item]
    return type(values)(values[i] for i in item.tolist())
