"""What the data formats share: reserved keys, values with a tag, and the errors of reading and writing.

A parser gives nodes, lists and scalars in which special values are `Tagged`; `decode` makes objects of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.position import Origin

SOURCE_KEY, SHARED_KEY, CONFIG_KEY, LINKS_KEY = "_source_", "_shared_", "_config_", "_links_"


class DataFileError(ConfigError, ValueError):
    """A data file that is not well-formed; the message names the file and the line."""


class SaveError(ConfigError, TypeError):
    """What of a config cannot be saved: one line for each value, with its config path and the reason."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("cannot save the config:\n  " + "\n  ".join(self.problems))


class Tagged:
    """A value with a tag (``!tuple``), not made yet.

    Attributes:
        tag: its name, without the mark.
        value: what follows the tag.
        place: its position in the file.
    """

    __slots__ = ("place", "tag", "value")

    def __init__(self, tag: str, value: Any, place: Origin):
        self.tag = tag
        self.value = value
        self.place = place


def as_text(value: Any) -> str:
    """Return a payload that must be text."""
    if type(value) is not str:
        raise ConfigError(f"text is expected, not {value!r}")
    return value


def as_list(value: Any) -> list[Any]:
    """Return a payload that must be a list."""
    if type(value) is not list:
        raise ConfigError(f"a list is expected, not {value!r}")
    return value


def as_node(value: Any) -> Node:
    """Return a payload that must be a mapping."""
    if type(value) is not Node:
        raise ConfigError(f"a mapping is expected, not {value!r}")
    return value
