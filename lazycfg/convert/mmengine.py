"""Configs of mmengine, in Python (`_base_` or `read_base()`), YAML or JSON, as config files of ours."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.config import Node, to_nodes
from lazycfg.config.errors import ConfigError
from lazycfg.convert.result import Converted, ConvertError
from lazycfg.convert.trees import call, config_text, target_of

__all__ = ["convert", "recognises"]

_PYTHON = re.compile(r"^\s*_base_\s*=|\bread_base\b|\bdict\(\s*type\s*=|[\"']type[\"']\s*:", re.MULTILINE)
_DATA = re.compile(r"(?:^|[{,\s-])[\"']?(_base_|type)[\"']?\s*:", re.MULTILINE)


def recognises(path: Path) -> bool:
    """Return whether a file has a `_base_`, `read_base()` or dicts with a `type`."""
    pattern = _PYTHON if path.suffix == ".py" else _DATA
    return pattern.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def convert(path: Path, overrides: Sequence[str] = (), scopes: Sequence[str] = ()) -> Converted:
    """Return what a file says, with calls for its dicts with a `type`.

    Args:
        path: the file.
        overrides: as `--cfg-options` takes them, `model.backbone.depth=101`.
        scopes: where the names of `type` are looked up: modules, `mmdet.models`, or single names,
            `Name=package.module.Class`; `Name=` says that dicts of this type are data.

    Raises:
        ConvertError: mmengine is not installed or cannot read the file; or names lead nowhere, all of them
            with their config paths.
    """
    try:
        from mmengine.config import Config, DictAction
    except ImportError:
        raise ConvertError("configs of mmengine need mmengine itself: pip install mmengine-lite") from None
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
        given = [word.partition("=") for word in overrides]
        cfg.merge_from_dict({key: DictAction._parse_iterable(text) for key, _, text in given})
    except Exception as error:
        raise ConvertError(f"mmengine cannot read {path}: {type(error).__name__}: {error}") from error
    reading = _Reading(_Names(scopes))
    plain = object.__getattribute__(cfg, "_cfg_dict")
    values = {key: reading.convert(value, key) for key, value in dict.items(plain)}
    if reading.unresolved:
        lines = [
            f"{where}: no class is known for type={name!r}" for name, where in reading.unresolved.items()
        ]
        names = " ".join(f"--scope {name}=package.module.{name}" for name in list(reading.unresolved)[:2])
        raise ConvertError(
            "\n".join(lines)
            + f"\nname the module that has them, --scope package.module, or each one, {names}; "
            "--scope NAME= for dicts that are data"
        )
    if reading.nested:
        reading.remarks.append(
            f"{reading.nested[0]} and others: mmengine hands a class the dicts of its parts; here the "
            "parts are built first. For a class that builds them itself write _recursive_=False"
        )
    try:
        text = config_text(f"What {path.name} says.", to_nodes(values), reading.remarks)
    except ConfigError as error:
        raise ConvertError(str(error)) from error
    return Converted(text, tuple(reading.remarks))


class _Names:
    """What names of `type` stand for."""

    def __init__(self, scopes: Sequence[str]) -> None:
        self.single = dict(scope.split("=", 1) for scope in scopes if "=" in scope)
        self.modules = []
        for scope in scopes:
            if "=" not in scope:
                try:
                    self.modules.append(importlib.import_module(scope))
                except ImportError as error:
                    raise ConvertError(f"--scope {scope}: {error}") from error

    def find(self, name: str, remarks: list[str]) -> Any:
        """Return the class of a name, `""` for dicts that are data, None where it is not known."""
        if name in self.single:
            return target_of(self.single[name], remarks) if self.single[name] else ""
        last = name.rpartition(".")[2]  # "mmdet.FasterRCNN" of a scope
        for module in self.modules:
            found = getattr(module, last, None)
            if callable(found):
                return found
        if "." not in name:
            return None
        unknown: list[str] = []
        found = target_of(name, unknown)
        return None if unknown else found


class _Reading:
    def __init__(self, names: _Names) -> None:
        self.remarks: list[str] = []
        self.unresolved: dict[str, str] = {}
        self.nested: list[str] = []
        self._names = names

    def convert(self, value: Any, path: str) -> Any:
        """Return what stands for a value of mmengine's."""
        if isinstance(value, dict):
            items = {key: part for key, part in dict.items(value) if key != "_scope_"}
            target = self._target(items.get("type"), path) if "type" in items else ""
            if target != "":
                del items["type"]
            made = {key: self.convert(part, f"{path}.{key}") for key, part in items.items()}
            if target == "" or target is None:
                return Node(made)
            if any(self._is_call(part) for part in made.values()):
                self.nested.append(path)
            if not all(isinstance(key, str) for key in made):
                self.remarks.append(f"{path} has keys that are no names")
            return call(target, (), made)
        if isinstance(value, list | tuple):
            return type(value)(self.convert(part, f"{path}.{i}") for i, part in enumerate(value))
        return self._built(value)

    def _target(self, kind: Any, path: str) -> Any:
        kind = self._built(kind)
        if not isinstance(kind, str):
            return kind if callable(kind) else ""
        found = self._names.find(kind, self.remarks)
        if found is None:
            self.unresolved.setdefault(kind, path)
        return found

    def _built(self, value: Any) -> Any:
        """Return what a lazily imported name of mmengine stands for."""
        if type(value).__name__ not in ("LazyObject", "LazyAttr"):
            return value
        try:
            return value.build()
        except ImportError as error:
            raise ConvertError(str(error)) from error

    @staticmethod
    def _is_call(value: Any) -> bool:
        parts = value if isinstance(value, list | tuple) else [value]
        return any(isinstance(part, Node) and "_target_" in part for part in parts)
