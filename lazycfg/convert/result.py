"""What converting a config gives, and its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lazycfg.config.errors import ConfigError

__all__ = ["ConvertError", "Converted"]


class ConvertError(ConfigError):
    """A config cannot be converted; the message says what in it, where, and what to do."""


@dataclass(frozen=True)
class Converted:
    """A config file of ours, made of another one.

    Attributes:
        text: of the file, Python.
        remarks: what a user should know of it, a sentence each: what has no counterpart, what
            changes nothing.
        files: other files that it needs: paths below its folder, with their texts.
    """

    text: str
    remarks: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
