"""The construction core: configs as plain Python that builds a tree of calls.

The public names are imported when they are first used, so that `import lazycfg` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.build import instantiate as instantiate
    from lazycfg.config.call import LazyCall as LazyCall
    from lazycfg.config.call import LazyPartial as LazyPartial
    from lazycfg.config.call import attr as attr
    from lazycfg.config.call import method as method
    from lazycfg.config.checking import Problem as Problem
    from lazycfg.config.checking import check as check
    from lazycfg.config.comparing.differences import diff as diff
    from lazycfg.config.comparing.drift import Drift as Drift
    from lazycfg.config.comparing.drift import drift as drift
    from lazycfg.config.comparing.hashing import hash_of as hash_of
    from lazycfg.config.dump import dump_dataclass as dump_dataclass
    from lazycfg.config.editing.merging import merge as merge
    from lazycfg.config.editing.selecting import SelectError as SelectError
    from lazycfg.config.editing.selecting import select as select
    from lazycfg.config.errors import CheckError as CheckError
    from lazycfg.config.errors import ConfigAttributeError as ConfigAttributeError
    from lazycfg.config.errors import ConfigError as ConfigError
    from lazycfg.config.errors import ConfigKeyError as ConfigKeyError
    from lazycfg.config.errors import CycleError as CycleError
    from lazycfg.config.errors import InterpolationError as InterpolationError
    from lazycfg.config.errors import PathError as PathError
    from lazycfg.config.errors import RequiredError as RequiredError
    from lazycfg.config.errors import TargetError as TargetError
    from lazycfg.config.lazy import LazyConfig as LazyConfig
    from lazycfg.config.node import REQUIRED as REQUIRED
    from lazycfg.config.node import Node as Node
    from lazycfg.config.node import to_nodes as to_nodes
    from lazycfg.config.observe import Profile as Profile
    from lazycfg.config.omegaconf_bridge import from_omegaconf as from_omegaconf
    from lazycfg.config.omegaconf_bridge import to_omegaconf as to_omegaconf
    from lazycfg.config.parts import subset as subset
    from lazycfg.config.paths import get_path as get_path
    from lazycfg.config.provenance.history import explain as explain
    from lazycfg.config.provenance.origins import explain_errors as explain_errors
    from lazycfg.config.provenance.origins import origin as origin
    from lazycfg.config.trust import DEFAULT_ALLOW as DEFAULT_ALLOW
    from lazycfg.config.trust import UntrustedError as UntrustedError

_HOME = {
    "REQUIRED": "node",
    "CheckError": "errors",
    "ConfigAttributeError": "errors",
    "ConfigError": "errors",
    "ConfigKeyError": "errors",
    "CycleError": "errors",
    "InterpolationError": "errors",
    "LazyCall": "call",
    "LazyConfig": "lazy",
    "LazyPartial": "call",
    "Node": "node",
    "PathError": "errors",
    "Problem": "checking",
    "RequiredError": "errors",
    "TargetError": "errors",
    "attr": "call",
    "check": "checking",
    "dump_dataclass": "dump",
    "from_omegaconf": "omegaconf_bridge",
    "get_path": "paths",
    "instantiate": "build",
    "method": "call",
    "to_nodes": "node",
    "to_omegaconf": "omegaconf_bridge",
    "DEFAULT_ALLOW": "trust",
    "UntrustedError": "trust",
    "Profile": "observe",
    "SelectError": "editing.selecting",
    "Drift": "comparing.drift",
    "diff": "comparing.differences",
    "drift": "comparing.drift",
    "explain": "provenance.history",
    "explain_errors": "provenance.origins",
    "hash_of": "comparing.hashing",
    "origin": "provenance.origins",
    "merge": "editing.merging",
    "select": "editing.selecting",
    "subset": "parts",
}

__all__ = [
    "DEFAULT_ALLOW",
    "REQUIRED",
    "CheckError",
    "ConfigAttributeError",
    "ConfigError",
    "ConfigKeyError",
    "CycleError",
    "Drift",
    "InterpolationError",
    "LazyCall",
    "LazyConfig",
    "LazyPartial",
    "Node",
    "PathError",
    "Problem",
    "Profile",
    "RequiredError",
    "SelectError",
    "TargetError",
    "UntrustedError",
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
    "merge",
    "method",
    "origin",
    "select",
    "subset",
    "to_nodes",
    "to_omegaconf",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
