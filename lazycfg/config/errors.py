"""The errors of the construction core. All derive from `ConfigError`; most also from the builtin they
resemble.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from lazycfg.config.checking import Problem

__all__ = [
    "CheckError",
    "ConfigAttributeError",
    "ConfigError",
    "ConfigKeyError",
    "CycleError",
    "InterpolationError",
    "PathError",
    "TargetError",
]

_OF_OMEGACONF = frozenset(("_is_none", "_set_flag", "_get_flag", "_metadata", "_is_missing", "_get_root"))


class ConfigError(Exception):
    """Something is wrong with a config; the message says what, where, and what was expected."""


class ConfigKeyError(ConfigError, KeyError):
    """A key that a node does not have. The suggestion is composed only when the message is shown."""

    def __init__(self, key: Any, candidates: Iterable[Any] = ()):
        super().__init__(key)
        self.key = key
        self.candidates = candidates

    def __str__(self) -> str:
        from lazycfg.config.suggest import closest

        names = [str(c) for c in self.candidates]
        return f"no key {self.key!r} here{closest(str(self.key), names)}"


class ConfigAttributeError(ConfigError, AttributeError):
    """An attribute that a node does not have. The suggestion is composed only when the message is shown."""

    def __init__(self, name: str, candidates: Iterable[Any] = ()):
        # `name`/`obj` of AttributeError stay unset: the interpreter would add a suggestion of its own.
        super().__init__(name)
        self.key = name
        self.candidates = candidates

    def __str__(self) -> str:
        from lazycfg.config.suggest import closest

        if self.key in _OF_OMEGACONF:
            return (
                "OmegaConf's functions take no nodes: write cfg.a.b or get_path(cfg, 'a.b'), merge(a, b), or "
                "to_omegaconf(cfg) for a DictConfig"
            )
        names = [str(c) for c in self.candidates]
        return f"no argument or key {self.key!r} here{closest(self.key, names)}"


class PathError(ConfigError, LookupError):
    """A config path that leads nowhere, or that is not well-formed."""


class InterpolationError(ConfigError, ValueError):
    """A `${...}` that cannot be resolved: its target is missing, it runs in a circle, or a resolver
    failed.
    """


class CycleError(ConfigError, ValueError):
    """A node that is reached again from within itself, so that it can never be built."""


class TargetError(ConfigError, ValueError):
    """A target that cannot be imported or is not callable."""


class FormatError(ConfigError, ValueError):
    """A file of which the suffix does not say in which format it is."""


class CheckError(ConfigError, ValueError, TypeError):
    """All problems of a config at once. A `TypeError` too, as the call itself would raise for a wrong
    argument.

    Attributes:
        problems: one `lazycfg.config.checking.Problem` for each, in the order of the tree.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems: list[Problem] = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the config:"
        return "\n".join([head, *(f"  {p}".replace("\n", "\n  ") for p in self.problems)])
