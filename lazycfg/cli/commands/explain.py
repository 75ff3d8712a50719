"""The commands `explain` and `doc`: where a value was set, and what a parameter means."""

from __future__ import annotations

import argparse
from typing import Any

from lazycfg.cli.common import CommandError, look_at, one_path, say

__all__ = ["doc", "explain"]


def explain(arguments: argparse.Namespace) -> int:
    """Print where a value was set, in order."""
    from lazycfg.inspection.explain import explain as explain_value

    path, overrides = one_path(arguments.words, required=True)
    say(look_at(arguments, overrides, lambda cfg: explain_value(cfg, path)))
    return 0


def doc(arguments: argparse.Namespace) -> int:
    """Print what a parameter means: its type, default and documentation.

    Raises:
        CommandError: the path leads nowhere.
    """
    from lazycfg.config.signatures.binding import why_not
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.keys import find_key
    from lazycfg.config.tree.node import is_call, raw_get
    from lazycfg.config.tree.paths import MISSING, parse_path
    from lazycfg.config.tree.targets import target_name
    from lazycfg.inspection.docstrings import parameter_doc, target_doc

    path, overrides = one_path(arguments.words, required=True)
    keys = parse_path(path)
    holder: Any = look_at(arguments, overrides, lambda cfg: get_path(cfg, keys[:-1]))
    value: Any = find_key(holder, keys[-1])
    takes = is_call(holder) and isinstance(keys[-1], str)
    if takes:
        reason = why_not(holder, keys[-1])
        if reason is not None:
            raise CommandError(f"config path {path!r}: {reason}")
        say(parameter_doc(holder, keys[-1]))
    elif value is MISSING:
        look_at(arguments, overrides, lambda cfg: get_path(cfg, keys))  # says how far the path leads
    if is_call(value):
        say(f"{path} is a call of {target_name(raw_get(value, '_target_'), full=True)}:\n")
        say(target_doc(value))
    elif not takes:
        say(f"{path} = {value!r}")
    return 0
