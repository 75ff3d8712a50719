"""Lazy Python configs: a config file is plain Python that builds a tree of calls, `instantiate` makes the
objects.

    from lazycfg import LazyCall as L, LazyConfig, instantiate

The names below are imported when they are first used; `import lazycfg` imports nothing heavy.
"""

from __future__ import annotations

from lazycfg._version import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config import REQUIRED as REQUIRED
    from lazycfg.config import CheckError as CheckError
    from lazycfg.config import ConfigError as ConfigError
    from lazycfg.config import InterpolationError as InterpolationError
    from lazycfg.config import LazyCall as LazyCall
    from lazycfg.config import LazyConfig as LazyConfig
    from lazycfg.config import LazyPartial as LazyPartial
    from lazycfg.config import Node as Node
    from lazycfg.config import attr as attr
    from lazycfg.config import check as check
    from lazycfg.config import diff as diff
    from lazycfg.config import drift as drift
    from lazycfg.config import dump_dataclass as dump_dataclass
    from lazycfg.config import explain as explain
    from lazycfg.config import explain_errors as explain_errors
    from lazycfg.config import from_omegaconf as from_omegaconf
    from lazycfg.config import get_path as get_path
    from lazycfg.config import hash_of as hash_of
    from lazycfg.config import instantiate as instantiate
    from lazycfg.config import method as method
    from lazycfg.config import origin as origin
    from lazycfg.config import ref as ref
    from lazycfg.config import select as select
    from lazycfg.config import subset as subset
    from lazycfg.config import to_nodes as to_nodes
    from lazycfg.config import to_omegaconf as to_omegaconf

__all__ = [
    "REQUIRED",
    "CheckError",
    "ConfigError",
    "InterpolationError",
    "LazyCall",
    "LazyConfig",
    "LazyPartial",
    "Node",
    "__version__",
    "attr",
    "check",
    "diff",
    "drift",
    "dump_dataclass",
    "explain",
    "explain_errors",
    "from_omegaconf",
    "get_path",
    "hash_of",
    "instantiate",
    "method",
    "origin",
    "ref",
    "select",
    "subset",
    "to_nodes",
    "to_omegaconf",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lazycfg import config

    value = getattr(config, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
