"""`CfgNode` and what belongs to it: the configs of old programs. A model is built by `translating` one."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import yaml

from lazycfg.convert.yacs.defaults import core_defaults
from lazycfg.convert.yacs.reading import decoded, read_yaml
from lazycfg.convert.yacs.versions import upgrade
from lazycfg.utils import closest

from .configurable import configurable
from .files import PathManager

__all__ = [
    "BASE_KEY",
    "CfgNode",
    "PlainCfgNode",
    "configurable",
    "downgrade_config",
    "get_cfg",
    "global_cfg",
    "set_global_cfg",
    "upgrade_config",
]

BASE_KEY = "_BASE_"
_PLAIN = (tuple, list, str, int, float, bool, type(None))


class CfgNode(dict[str, Any]):
    """Keys in groups, as attributes or items; ``freeze()`` protects them.

    Args:
        init_dict: the first content; mappings in it become `CfgNode`.
        key_list: names of the groups that lead here, for messages.
        new_allowed: whether files and lists may bring keys that are not there yet.
    """

    IMMUTABLE = "__immutable__"
    NEW_ALLOWED = "__new_allowed__"

    def __init__(
        self,
        init_dict: Mapping[str, Any] | None = None,
        key_list: Sequence[str] | None = None,
        new_allowed: bool = False,
    ) -> None:
        path = list(key_list or ())
        super().__init__()
        for key, value in (init_dict or {}).items():
            dict.__setitem__(self, key, self._valued(value, [*path, str(key)], new_allowed))
        self.__dict__[self.IMMUTABLE] = False
        self.__dict__[self.NEW_ALLOWED] = new_allowed

    @classmethod
    def _valued(cls, value: Any, path: list[str], new_allowed: bool = False) -> Any:
        if isinstance(value, CfgNode):
            return value
        if isinstance(value, Mapping):
            return cls(value, path, new_allowed)
        if not isinstance(value, _PLAIN):
            raise ValueError(
                f"config key {'.'.join(path)}: {type(value).__name__} is no valid type of value; valid are "
                f"{', '.join(t.__name__ for t in _PLAIN)}"
            )
        return value

    # -- reading and writing

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"config has no key {name!r}{closest(name, list(self))}")

    def __setattr__(self, name: str, value: Any) -> None:
        if self.is_frozen():
            raise AttributeError(
                f"attempted to set {name} to {value!r}, but the config is frozen: cfg.defrost()"
            )
        if name in self.__dict__:
            raise AttributeError(f"{name} is a reserved name of the config")
        if name.startswith("COMPUTED_") and name in self and self[name] != value:
            raise KeyError(f"computed attribute {name!r} already exists with another value")
        dict.__setitem__(self, name, self._valued(value, [name]))

    def __setitem__(self, key: str, value: Any) -> None:
        if self.is_frozen():
            raise AttributeError(
                f"attempted to set {key} to {value!r}, but the config is frozen: cfg.defrost()"
            )
        dict.__setitem__(self, key, value)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def freeze(self) -> None:
        """Refuse changes from now on, in all groups."""
        self._set_immutable(True)

    def defrost(self) -> None:
        """Allow changes again, in all groups."""
        self._set_immutable(False)

    def is_frozen(self) -> bool:
        """Return whether changes are refused."""
        return bool(self.__dict__.get(self.IMMUTABLE, False))

    def _set_immutable(self, frozen: bool) -> None:
        self.__dict__[self.IMMUTABLE] = frozen
        for value in [*self.__dict__.values(), *self.values()]:
            if isinstance(value, CfgNode):
                value._set_immutable(frozen)

    def is_new_allowed(self) -> bool:
        """Return whether files and lists may bring keys that are not there yet."""
        return bool(self.__dict__.get(self.NEW_ALLOWED, False))

    def set_new_allowed(self, is_new_allowed: bool) -> None:
        """Say whether files and lists may bring keys that are not there yet, here and in all groups."""
        self.__dict__[self.NEW_ALLOWED] = is_new_allowed
        for value in self.values():
            if isinstance(value, CfgNode):
                value.set_new_allowed(is_new_allowed)

    def clone(self) -> Self:
        """Return a deep copy."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = type(self)()
        memo[id(self)] = other
        for key, value in self.items():
            dict.__setitem__(other, key, copy.deepcopy(value, memo))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return other

    def __reduce__(self) -> Any:
        return (_restore, (type(self), dict(self), dict(self.__dict__)))

    # -- merging

    @classmethod
    def load_yaml_with_base(cls, filename: str, allow_unsafe: bool = False) -> dict[str, Any]:
        """Return what a YAML file says, on top of the file that its ``_BASE_`` names.

        Args:
            allow_unsafe: has no effect: no code of a file is executed.

        Raises:
            FileNotFoundError: there is no such file.
            ConvertError: a file is no YAML, or asks for Python objects; a ValueError.
        """
        path = PathManager.get_local_path(os.fspath(filename))
        if not os.path.isfile(path):
            raise FileNotFoundError(f"no config file {filename}")
        return read_yaml(path)

    @classmethod
    def load_cfg(cls, cfg_file_obj_or_str: Any) -> Self:
        """Return the config of a YAML text or an open YAML file."""
        text = cfg_file_obj_or_str if isinstance(cfg_file_obj_or_str, str) else cfg_file_obj_or_str.read()
        return cls(yaml.safe_load(text) or {})

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = True) -> None:
        """Take over what a YAML file says; its ``_BASE_`` is read before it.

        Raises:
            FileNotFoundError: there is no such file.
            KeyError: it has a key that is not there.
            ValueError: a value has another type than the one that is there.
        """
        given = self.load_yaml_with_base(os.fspath(cfg_filename))
        self.merge_from_other_cfg(type(self)(upgrade(given) if "VERSION" in self else given))

    def merge_from_other_cfg(self, cfg_other: CfgNode) -> None:
        """Take over the values of another config.

        Raises:
            KeyError, ValueError: as `merge_from_file`.
        """
        if BASE_KEY in cfg_other:
            raise KeyError(f"the key {BASE_KEY!r} may stand in files only")
        self._refuse_frozen()
        _merge(cfg_other, self, [])

    def merge_from_list(self, cfg_list: Sequence[Any]) -> None:
        """Take over ``["A.B", value, "C.D", value, ...]``; texts are read as Python literals where they are
        such.

        Raises:
            ValueError: the list is of odd length, or a value has another type than the one that is there.
            KeyError: a key is not there, or has a new name.
        """
        self._refuse_frozen()
        if len(cfg_list) % 2:
            raise ValueError(
                f"expected keys and values in turn, got {len(cfg_list)} entries: {list(cfg_list)}"
            )
        for key, text in zip(cfg_list[0::2], cfg_list[1::2], strict=True):
            if key in self.__dict__.get("__deprecated_keys__", ()):
                continue
            if key in self.__dict__.get("__renamed_keys__", {}):
                self.raise_key_rename_error(key)
            node, (*above, last) = self, str(key).split(".")
            for part in above:
                if part not in node:
                    raise KeyError(f"non-existent config key: {key}{closest(part, list(node))}")
                node = node[part]
            if last == BASE_KEY:
                raise KeyError(f"the key {BASE_KEY!r} may stand in files only")
            if last not in node and not node.is_new_allowed():
                raise KeyError(f"non-existent config key: {key}{closest(last, list(node))}")
            value = self._valued(decoded(text), [str(key)])
            dict.__setitem__(node, last, _coerced(value, node[last], str(key)) if last in node else value)

    def _refuse_frozen(self) -> None:
        if self.is_frozen():
            raise AttributeError("the config is frozen: call cfg.defrost() before merging into it")

    # -- texts

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """Return the config as a YAML text, which `merge_from_file` takes."""
        kwargs.setdefault("default_flow_style", None)
        return yaml.safe_dump(_plain(self), *args, **kwargs)

    def __str__(self) -> str:
        lines = []
        for key, value in sorted(self.items()):
            inner = str(value)
            if isinstance(value, CfgNode):
                inner = "\n" + "\n".join(f"  {line}" for line in inner.splitlines())
                lines.append(f"{key}:{inner}")
            else:
                lines.append(f"{key}: {inner}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"

    # -- keys of other times

    def register_deprecated_key(self, key: str) -> None:
        """Ignore a key in files from now on."""
        self.__dict__.setdefault("__deprecated_keys__", set()).add(key)

    def register_renamed_key(self, old_name: str, new_name: str, message: str | None = None) -> None:
        """Refuse a key in files from now on, and say its new name."""
        self.__dict__.setdefault("__renamed_keys__", {})[old_name] = (new_name, message)

    def raise_key_rename_error(self, full_key: str) -> None:
        """Say the new name of a key.

        Raises:
            KeyError: always.
        """
        new, message = self.__dict__["__renamed_keys__"][full_key]
        raise KeyError(f"key {full_key} was renamed to {new}{f'; {message}' if message else ''}")


PlainCfgNode = CfgNode
"""The class of fvcore, on which detectron2's is based."""


def _restore(cls: type[CfgNode], content: dict[str, Any], state: dict[str, Any]) -> CfgNode:
    node = cls()
    for key, value in content.items():
        dict.__setitem__(node, key, value)
    node.__dict__.update(state)
    return node


def _plain(value: Any) -> Any:
    if isinstance(value, CfgNode):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _merge(source: CfgNode, target: CfgNode, path: list[str]) -> None:
    deprecated = target.__dict__.get("__deprecated_keys__", ())
    renamed = target.__dict__.get("__renamed_keys__", {})
    for key, given in source.items():
        full = ".".join([*path, str(key)])
        value = CfgNode._valued(decoded(copy.deepcopy(given)), [*path, str(key)])
        if key in target:
            value = _coerced(value, target[key], full)
            if isinstance(value, CfgNode) and isinstance(target[key], CfgNode):
                _merge(value, target[key], [*path, str(key)])
                continue
        elif full in deprecated:
            continue
        elif full in renamed:
            target.raise_key_rename_error(full)
        elif not target.is_new_allowed():
            raise KeyError(f"non-existent config key: {full}{closest(str(key), list(target))}")
        dict.__setitem__(target, key, value)


def _coerced(value: Any, old: Any, key: str) -> Any:
    """Return a value in the type of the one that it replaces."""
    if type(value) is type(old) or value is None or old is None:
        return value
    if isinstance(value, CfgNode) and isinstance(old, CfgNode):
        return value
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(old, list) and isinstance(value, tuple):
        return list(value)
    raise ValueError(
        f"type mismatch ({type(old).__name__} vs. {type(value).__name__}) with values ({old!r} vs. "
        f"{value!r}) for "
        f"config key: {key}"
    )


_C = CfgNode(core_defaults())
"""The defaults, to which old programs add keys of their own before they call `get_cfg`."""


def get_cfg() -> CfgNode:
    """Return a fresh config with all keys of detectron2, and those added to ``_C``, at their defaults."""
    return _C.clone()


global_cfg = CfgNode()


def set_global_cfg(cfg: CfgNode) -> None:
    """Make the keys of a config those of ``global_cfg``; only such code reads it as asks for it by name."""
    global_cfg.defrost()
    global_cfg.clear()
    for key, value in cfg.items():
        dict.__setitem__(global_cfg, key, value)


def upgrade_config(cfg: CfgNode, to_version: int | None = None) -> CfgNode:
    """Return a config of the current version: keys of older ones get their present names.

    Raises:
        ValueError: another version than 2 is asked for.
    """
    if to_version not in (None, 2):
        raise ValueError(f"configs of VERSION {to_version} are not known")
    return type(cfg)(upgrade(cfg))


def downgrade_config(cfg: CfgNode, to_version: int) -> CfgNode:
    """Return a config of an older version.

    Raises:
        ValueError: always: version 1 was given up in 2019.
    """
    raise ValueError("configs of VERSION 1 are not known")
