"""``DatasetCatalog`` and ``MetadataCatalog``: data sets by name. They live in the alias only."""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from lazycfg.data import DatasetFromList
from lazycfg.data import Metadata as OurMetadata
from lazycfg.utils import closest

__all__ = ["DatasetCatalog", "Metadata", "MetadataCatalog", "as_dataset", "as_metadata"]


class _DatasetCatalog(UserDict[str, Callable[[], Any]]):
    """From the name of a data set to a function that reads its records."""

    def register(self, name: str, func: Callable[[], Any]) -> None:
        """Give a name to a function that returns a list of records.

        Raises:
            AssertionError: the name is taken, or it is no function.
        """
        if not callable(func):
            raise AssertionError(f"DatasetCatalog.register({name!r}, ...) takes a function, got {func!r}")
        self._with_builtin()
        if name in self.data:
            raise AssertionError(f"a data set {name!r} is already registered")
        self.data[name] = func

    def get(self, name: str) -> Any:  # type: ignore[override]
        """Return the records of a data set: what its function returns, called anew each time.

        Raises:
            KeyError: no such data set; the message names the nearest.
        """
        self._with_builtin()
        if name not in self.data:
            raise KeyError(f"data set {name!r} is not registered{closest(name, list(self.data))}")
        return self.data[name]()

    def list(self) -> list[str]:
        """Return all names."""
        self._with_builtin()
        return list(self.data)

    def remove(self, name: str) -> None:
        """Forget a data set; ``pop`` does, too."""
        self.data.pop(name)

    def _with_builtin(self) -> None:
        from .builtin_datasets import register_builtin

        register_builtin()

    def __contains__(self, name: object) -> bool:
        self._with_builtin()
        return name in self.data

    def __str__(self) -> str:
        return f"DatasetCatalog(registered datasets: {', '.join(self.list())})"

    __repr__ = __str__
    __hash__ = object.__hash__


class Metadata(SimpleNamespace):
    """What is known of a data set beside its records; a value that was given does not change."""

    name: str = "N/A"

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        known = list(vars(self))
        unread = "json_file" in known and key in ("thing_classes", "thing_dataset_id_to_contiguous_id")
        remedy = f"; DatasetCatalog.get({self.name!r}) reads them" if unread else closest(key, known)
        raise AttributeError(
            f"attribute {key!r} does not exist in the metadata of dataset {self.name!r}. Available keys are "
            f"{known}{remedy}"
        )

    def __setattr__(self, key: str, value: Any) -> None:
        old = vars(self).get(key, value)
        if old != value:
            raise AssertionError(
                f"attribute {key!r} in the metadata of {self.name!r} cannot be set to a different value: "
                f"{old!r} != {value!r}"
            )
        super().__setattr__(key, value)

    def as_dict(self) -> dict[str, Any]:
        """Return all values as a dict, a copy."""
        return copy.copy(vars(self))

    def set(self, **kwargs: Any) -> Metadata:
        """Give several values; return itself.

        Raises:
            AssertionError: one is there already and differs.
        """
        for key, value in kwargs.items():
            setattr(self, key, value)
        return self

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or `default` where there is none."""
        return vars(self).get(key, default)


class _MetadataCatalog(UserDict[str, Metadata]):
    """From the name of a data set to its `Metadata`, made when it is first asked for."""

    def get(self, name: str) -> Metadata:  # type: ignore[override]
        """Return the metadata of a name; empty but for the name, where nothing was said of it."""
        if not name:
            raise AssertionError("a data set has a name")
        from .builtin_datasets import register_builtin

        register_builtin()
        if name not in self.data:
            self.data[name] = Metadata(name=name)
        return self.data[name]

    def list(self) -> list[str]:
        """Return all names."""
        return list(self.data)

    def remove(self, name: str) -> None:
        """Forget the metadata of a name."""
        self.data.pop(name)

    def __str__(self) -> str:
        return f"MetadataCatalog(registered metadata: {', '.join(self.data)})"

    __repr__ = __str__
    __hash__ = object.__hash__


DatasetCatalog = _DatasetCatalog()
MetadataCatalog = _MetadataCatalog()

_OURS = (
    "thing_classes",
    "thing_colors",
    "thing_dataset_id_to_contiguous_id",
    "keypoint_names",
    "keypoint_flip_map",
    "keypoint_connection_rules",
    "stuff_classes",
    "stuff_colors",
    "stuff_dataset_id_to_contiguous_id",
    "ignore_label",
    "label_divisor",
    "json_file",
    "image_root",
)


def as_metadata(metadata: Any) -> OurMetadata:
    """Return `lazycfg.data.Metadata` of an old one (or of its name, or as it is; None gives an empty one)."""
    if isinstance(metadata, OurMetadata):
        return metadata
    if metadata is None:
        return OurMetadata()
    if isinstance(metadata, str):
        metadata = MetadataCatalog.get(metadata)
    values = dict(vars(metadata))
    fields = {key: values.pop(key) for key in _OURS if values.get(key) is not None}
    name = values.pop("name", "")
    for key in ("thing_colors", "stuff_colors"):
        of = key.replace("colors", "classes")
        if key in fields and len(fields[key]) != len(fields.get(of, ())):
            values[key] = fields.pop(key)
    return OurMetadata(name=name, extra=values, **fields)


def as_dataset(names: Any, records: Any = None) -> Any:
    """Return a data set object of a registered name (or several), or of records with the metadata of a
    name.
    """
    listed = [names] if isinstance(names, str) else list(names)
    if records is None:
        records = [record for name in listed for record in DatasetCatalog.get(name)]
    metadata = as_metadata(listed[0]) if listed else OurMetadata()
    return DatasetFromList(records, metadata=metadata)
