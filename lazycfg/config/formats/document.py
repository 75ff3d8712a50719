"""What the data formats share: reserved keys, values with a tag, and the errors of reading and writing.

A parser gives nodes, lists and scalars in which special values are `Tagged`; `decode` makes objects of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.position import Origin

T = TypeVar("T")

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


def _expect(kind: type[T], name: str, value: Any) -> T:
    """Return a payload that must be of a type."""
    if type(value) is not kind:
        raise ConfigError(f"{name} is expected, not {value!r}")
    return value


as_text, as_list = partial(_expect, str, "text"), partial(_expect, list, "a list")
as_node = partial(_expect, Node, "a mapping")
