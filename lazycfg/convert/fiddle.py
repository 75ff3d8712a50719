"""Configs of fiddle: what `module:function` returns, as a config file of ours."""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.config import REQUIRED, Node
from lazycfg.config.errors import ConfigError
from lazycfg.convert.result import Converted, ConvertError
from lazycfg.convert.trees import call, config_text

__all__ = ["convert", "recognises"]

_SOURCE = re.compile(r"[\w.]+:\w+")


def recognises(path: Path) -> bool:
    """Return whether the source is written `module:function`."""
    return _SOURCE.fullmatch(str(path)) is not None


def convert(path: Path, overrides: Sequence[str] = ()) -> Converted:
    """Return the config that a function makes.

    A node that stands in several places stays one. A tagged value is its value, one without a value
    `REQUIRED`.

    Args:
        path: `module:function`; the function returns a `fdl.Config`, or is decorated by `auto_config`.
        overrides: arguments of the function, `name=value`.

    Raises:
        ConvertError: fiddle is not installed, there is no such function, or its config holds an
            `fdl.ArgFactory`, which has no counterpart.
    """
    try:
        import fiddle as fdl
    except ImportError:
        raise ConvertError("configs of fiddle need fiddle itself: pip install fiddle") from None
    made = _call(str(path), _arguments(overrides))
    if not isinstance(made, fdl.Buildable):
        raise ConvertError(f"{path} returns no fdl.Config, but {type(made).__name__}")
    reading = _Reading(fdl)
    root = reading.convert(made, "config")
    if reading.problems:
        raise ConvertError("\n".join(reading.problems))
    try:
        text = config_text(f"What {path} of fiddle makes.", Node(config=root), reading.remarks)
    except ConfigError as error:
        raise ConvertError(str(error)) from error
    return Converted(text, tuple(reading.remarks))


def _arguments(words: Sequence[str]) -> dict[str, Any]:
    arguments = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name.isidentifier():
            raise ConvertError(f"{word!r} is no argument of the function: write name=value")
        try:
            arguments[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            arguments[name] = text
    return arguments


def _call(source: str, arguments: dict[str, Any]) -> Any:
    module, _, name = source.partition(":")
    here = os.getcwd()
    sys.path.insert(0, here)  # as `python -m` does
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConvertError(f"{source}: {error}") from error
    finally:
        sys.path.remove(here)
    buildable = getattr(function, "as_buildable", function)
    return buildable(**arguments) if callable(buildable) else buildable


class _Reading:
    def __init__(self, fdl: Any) -> None:
        self.fdl = fdl
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._made: dict[int, Any] = {}
        self._keep: list[Any] = []

    def convert(self, value: Any, path: str) -> Any:
        """Return what stands for a value of fiddle's."""
        fdl = self.fdl
        if not isinstance(value, fdl.Buildable) and type(value) not in (list, dict):
            if isinstance(value, tuple):
                parts = [self.convert(part, f"{path}[{i}]") for i, part in enumerate(value)]
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            return REQUIRED if value is fdl.NO_VALUE else value
        if id(value) not in self._made:
            self._keep.append(value)
            self._made[id(value)] = self._convert(value, path)
        return self._made[id(value)]

    def _convert(self, value: Any, path: str) -> Any:
        fdl = self.fdl
        if isinstance(value, list):
            return [self.convert(part, f"{path}[{i}]") for i, part in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.convert(part, f"{path}[{key!r}]") for key, part in value.items()}
        if isinstance(value, fdl.ArgFactory):
            self.problems.append(
                f"{path}: an fdl.ArgFactory is called anew at each call of the partial, which has no "
                f"counterpart: write a function that makes {_name(value)} itself, and a partial of that"
            )
            return None
        arguments = dict(value.__arguments__)
        tags = {name: tags for name, tags in value.__argument_tags__.items() if tags}
        if tags:
            names = sorted({tag.__name__ for group in tags.values() for tag in group})
            self.remarks.append(
                f"{path}: the tags {', '.join(names)} are left out: edit by the path, or select()"
            )
        if _name(value) == "tagvalue_fn":
            return self.convert(arguments.get("value", fdl.NO_VALUE), path)
        places = sorted(key for key in arguments if isinstance(key, int))
        names = list(value.__signature_info__.parameters)[: places[0]] if places else []
        for name in names:  # those in front of *args go by position, too
            if name not in arguments:
                self.problems.append(f"{path}.{name} must be given, as more arguments follow by position")
                return None
        args = [self.convert(arguments.pop(key), f"{path}.{key}") for key in [*names, *places]]
        kwargs = {
            key: self.convert(part, f"{path}.{key}")
            for key, part in arguments.items()
            if isinstance(key, str)
        }
        for name in tags:  # a tag without a value
            if isinstance(name, str) and name not in kwargs and _is_required(value, name):
                kwargs[name] = REQUIRED
        return call(fdl.get_callable(value), args, kwargs, partial=isinstance(value, fdl.Partial))


def _is_required(value: Any, name: str) -> bool:
    parameter = value.__signature_info__.parameters.get(name)
    return parameter is None or parameter.default is parameter.empty


def _name(value: Any) -> str:
    target = value.__fn_or_cls__
    return str(getattr(target, "__name__", target))
