"""OmegaConf's functions answer for lazy configs in the whole program while the alias is on.

In config files they do anyway (`lazycfg.config.isolation.omegaconf_names`). But old programs call
``OmegaConf.select(cfg, "train.init_checkpoint", default="")`` with what `LazyConfig.load` gave them, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from lazycfg.config.isolation import omegaconf_names as ours
from lazycfg.config.tree.node import Node

__all__ = ["switch_off", "switch_on"]

_METHODS = (
    *("create", "is_config", "is_dict", "is_interpolation", "is_missing", "masked_copy"),
    *("merge", "missing_keys", "resolve", "save", "select", "set_readonly"),
    *("set_struct", "to_container", "to_object", "to_yaml", "update"),
)
_FUNCTIONS = ("flag_override", "open_dict", "read_write")

_before: list[tuple[Any, str, Any]] = []


def switch_on() -> None:
    """Let OmegaConf's functions take nodes; with anything else they do what they did."""
    import omegaconf

    if _before:
        return
    for name in _METHODS:
        method = omegaconf.OmegaConf.__dict__[name]
        _put(
            omegaconf.OmegaConf,
            name,
            staticmethod(_for_nodes_too(method.__func__, getattr(ours.OmegaConf, name))),
        )
    for name in _FUNCTIONS:
        _put(omegaconf, name, _for_nodes_too(getattr(omegaconf, name), getattr(ours, name)))


def switch_off() -> None:
    """Put the functions back that were there before."""
    while _before:
        setattr(*_before.pop())


def _put(holder: Any, name: str, value: Any) -> None:
    _before.append((holder, name, vars(holder)[name]))
    setattr(holder, name, value)


def _for_nodes_too(theirs: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        has_node = any(map(_has_node, (*args, *kwargs.values())))
        return (answer if has_node else theirs)(*args, **kwargs)

    return call


def _has_node(value: Any) -> bool:
    if type(value) in (dict, list, tuple):
        return any(map(_has_node, value.values() if type(value) is dict else value))
    return isinstance(value, Node)
