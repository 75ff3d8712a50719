"""The errors of the construction core. All derive from `ConfigError`; most also from the builtin they
resemble.
"""

from __future__ import annotations

from lazycfg.config.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


_OF_OMEGACONF = frozenset(("_is_none", "_set_flag", "_get_flag", "_metadata", "_is_missing", "_get_root"))


class ConfigError(Exception):
    """Raised for a mistake in a config; the message says what, where, and what was expected."""


class _NoSuchKey(ConfigError):
    """Something that a node does not have. The message is composed only when it is shown."""

    what = "key"

    def __init__(self, key: Any, candidates: Iterable[Any] = (), holder: Any = None):
        # `name`/`obj` of AttributeError stay unset: the interpreter would add a suggestion of its own.
        super().__init__(key)
        self.key = key
        self.candidates = candidates
        self.holder = holder

    def __str__(self) -> str:
        path = _path_of(self.holder) if self.holder is not None else ""
        where = f"{path} has no" if path else "the config has no" if self.holder is not None else "no"
        hint = closest(str(self.key), [str(candidate) for candidate in self.candidates])
        return f"{where} {self.what} {self.key!r}{hint}"


class ConfigKeyError(_NoSuchKey, KeyError):
    """A key that a node does not have."""


class ConfigAttributeError(_NoSuchKey, AttributeError):
    """An attribute that a node does not have."""

    what = "argument or key"

    def __str__(self) -> str:
        if self.key in _OF_OMEGACONF:
            return (
                "OmegaConf's functions take no nodes: write cfg.a.b or get_path(cfg, 'a.b'), merge(a, b), or "
                "to_omegaconf(cfg) for a DictConfig"
            )
        return super().__str__()


class RequiredError(ConfigError, ValueError):
    """A value was read that must be filled in first: it is `REQUIRED` or "???"."""

    def __init__(self, key: Any, holder: Any = None):
        super().__init__(key)
        self.key = key
        self.holder = holder

    def __str__(self) -> str:
        if isinstance(self.key, str) and "${" in self.key:
            return f"{self.key!r} leads to a value that must be filled in first (it is ???)"
        path = _path_of(self.holder, self.key)
        return f"{path} must be filled in before it is read (it is ???): write the override {path}=VALUE"


def _path_of(holder: Any, *keys: Any) -> str:
    """Return the config path of a node, or of a key in it, as text."""
    text: str = type(holder).__lazycfg_path__(holder, *keys)
    return text


def with_article(name: str) -> str:
    """Return a word with its indefinite article: "an int", "a list"."""
    return f"{'an' if name[:1].lower() in 'aeio' or name[:2].lower() == 'un' else 'a'} {name}"


class PathError(ConfigError, LookupError):
    """A config path at which there is nothing, or that is not well-formed."""


class InterpolationError(ConfigError, ValueError):
    """Raised for a `${...}` that cannot be resolved: no target, a circle, or a resolver that failed."""


class CycleError(ConfigError, ValueError):
    """A node that is reached again from within itself, so that it can never be built."""


class TargetError(ConfigError, ValueError):
    """A target that cannot be imported or is not callable."""


class FormatError(ConfigError, ValueError):
    """A file of which the suffix does not say in which format it is."""
