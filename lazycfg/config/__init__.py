"""The construction core: configs as plain Python that builds a tree of calls.

The public names are imported when they are first used, so that `import lazycfg` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.building.build import instantiate as instantiate
    from lazycfg.config.building.check import check as check
    from lazycfg.config.building.problems import CheckError as CheckError
    from lazycfg.config.building.problems import Problem as Problem
    from lazycfg.config.building.profiling import Profile as Profile
    from lazycfg.config.editing.selecting import SelectError as SelectError
    from lazycfg.config.editing.selecting import select as select
    from lazycfg.config.errors import ConfigAttributeError as ConfigAttributeError
    from lazycfg.config.errors import ConfigError as ConfigError
    from lazycfg.config.errors import ConfigKeyError as ConfigKeyError
    from lazycfg.config.errors import CycleError as CycleError
    from lazycfg.config.errors import InterpolationError as InterpolationError
    from lazycfg.config.errors import PathError as PathError
    from lazycfg.config.errors import RequiredError as RequiredError
    from lazycfg.config.errors import TargetError as TargetError
    from lazycfg.config.interop.dataclasses import dump_dataclass as dump_dataclass
    from lazycfg.config.interop.omegaconf import to_omegaconf as to_omegaconf
    from lazycfg.config.lazy import LazyConfig as LazyConfig
    from lazycfg.config.signatures.binding import with_defaults as with_defaults
    from lazycfg.config.tree.access import get_path as get_path
    from lazycfg.config.tree.access import subset as subset
    from lazycfg.config.tree.access import to_dict as to_dict
    from lazycfg.config.tree.from_omegaconf import from_omegaconf as from_omegaconf
    from lazycfg.config.tree.lazy_call import LazyCall as LazyCall
    from lazycfg.config.tree.lazy_call import LazyPartial as LazyPartial
    from lazycfg.config.tree.lazy_call import attr as attr
    from lazycfg.config.tree.lazy_call import method as method
    from lazycfg.config.tree.lazy_call import ref as ref
    from lazycfg.config.tree.merging import merge as merge
    from lazycfg.config.tree.node import Node as Node
    from lazycfg.config.tree.node import to_nodes as to_nodes
    from lazycfg.config.tree.parents import freeze as freeze
    from lazycfg.config.tree.required import REQUIRED as REQUIRED
    from lazycfg.config.trust import DEFAULT_ALLOW as DEFAULT_ALLOW
    from lazycfg.config.trust import UntrustedError as UntrustedError
    from lazycfg.inspection.diff import diff as diff
    from lazycfg.inspection.drift import Drift as Drift
    from lazycfg.inspection.drift import drift as drift
    from lazycfg.inspection.explain import explain as explain
    from lazycfg.inspection.hashing import hash_of as hash_of
    from lazycfg.inspection.origins import explain_errors as explain_errors
    from lazycfg.inspection.origins import origin as origin

# Every public name with the module that it is imported from when it is first used. What stands in
# `lazycfg.inspection` is no part of the core; these names only lead there.
_HOME = {
    "CheckError": "config.building.problems",
    "ConfigAttributeError": "config.errors",
    "ConfigError": "config.errors",
    "ConfigKeyError": "config.errors",
    "CycleError": "config.errors",
    "DEFAULT_ALLOW": "config.trust",
    "Drift": "inspection.drift",
    "InterpolationError": "config.errors",
    "LazyCall": "config.tree.lazy_call",
    "LazyConfig": "config.lazy",
    "LazyPartial": "config.tree.lazy_call",
    "Node": "config.tree.node",
    "PathError": "config.errors",
    "Problem": "config.building.problems",
    "Profile": "config.building.profiling",
    "REQUIRED": "config.tree.required",
    "RequiredError": "config.errors",
    "SelectError": "config.editing.selecting",
    "TargetError": "config.errors",
    "UntrustedError": "config.trust",
    "attr": "config.tree.lazy_call",
    "check": "config.building.check",
    "diff": "inspection.diff",
    "drift": "inspection.drift",
    "dump_dataclass": "config.interop.dataclasses",
    "explain": "inspection.explain",
    "explain_errors": "inspection.origins",
    "freeze": "config.tree.parents",
    "from_omegaconf": "config.tree.from_omegaconf",
    "get_path": "config.tree.access",
    "hash_of": "inspection.hashing",
    "instantiate": "config.building.build",
    "merge": "config.tree.merging",
    "method": "config.tree.lazy_call",
    "origin": "inspection.origins",
    "ref": "config.tree.lazy_call",
    "select": "config.editing.selecting",
    "subset": "config.tree.access",
    "to_dict": "config.tree.access",
    "to_nodes": "config.tree.node",
    "to_omegaconf": "config.interop.omegaconf",
    "with_defaults": "config.signatures.binding",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"lazycfg.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
