"""Conversion from and to OmegaConf, at the border only: `import lazycfg` never imports it."""

from __future__ import annotations

import sys

from lazycfg.config.errors import ConfigError, TargetError
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.tree.targets import resolve_target
from lazycfg.config.tree.traversal import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from omegaconf import DictConfig, ListConfig


def to_omegaconf(value: Any) -> DictConfig | ListConfig:
    """Return a node, dict or list as OmegaConf containers, for code that needs them.

    A callable target becomes its `"pkg.mod.Name"`, `REQUIRED` becomes "???"; tuples become lists, and what
    was shared is repeated, as OmegaConf has neither. Other objects are kept as they are (`allow_objects`).
    About 0.4 ms a node. Raises `ConfigError` for a target that no name leads back to, and for a tree that is
    too deep for OmegaConf (some hundred levels).
    """
    try:
        from omegaconf import OmegaConf
    except ImportError:
        raise ImportError("to_omegaconf needs OmegaConf: pip install omegaconf") from None

    made: dict[int, Any] = {}
    for container, contents, link in plan(value):
        if isinstance(container, (dict, list, tuple)):
            items = contents.items() if isinstance(contents, dict) else enumerate(contents)
            plain = {key: _plain(made.get(id(child), child)) for key, child in items}
            if isinstance(container, dict):
                if "_target_" in plain:
                    plain["_target_"] = _name(plain["_target_"], (*unlink(link), "_target_"))
                made[id(container)] = plain
            else:
                made[id(container)] = list(plain.values())
    if id(value) not in made or not isinstance(value, (dict, list, tuple)):
        raise ConfigError(f"to_omegaconf takes a node, dict or list, not {type(value).__name__}")
    try:
        result: DictConfig | ListConfig = OmegaConf.create(made[id(value)], flags={"allow_objects": True})
    except RecursionError:
        raise ConfigError("the config is too deep for OmegaConf, which recurses into every level") from None
    return result


def _plain(value: Any) -> Any:
    return "???" if value is REQUIRED else value


def _name(target: Any, path: tuple[Any, ...]) -> Any:
    """Return the dotted name of a target, which must lead back to it; a node as target stays one."""
    if isinstance(target, (str, dict)):
        return target
    names = [f"{getattr(target, '__module__', None)}.{getattr(target, '__qualname__', '')}"]
    owner = getattr(target, "__self__", None)
    if isinstance(owner, type):  # a class method, which may be that of a base
        names.append(f"{owner.__module__}.{owner.__qualname__}.{getattr(target, '__name__', '')}")
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    names += (
        [f"{module.__name__}.{n}" for n, v in list(vars(module).items()) if v is target] if module else []
    )
    for name in names:
        try:
            found = resolve_target(name)
        except TargetError:
            continue
        if found is target or (found == target and getattr(found, "__self__", None) is owner):
            return name
    raise ConfigError(
        f"config path {format_path(path)!r}: no name leads to {target!r}, which OmegaConf would need: "
        "define it at the top of a module"
    )
