"""The commands `explain` and `doc`: where a value was set, and what a parameter means."""

from __future__ import annotations

import argparse
import os
import textwrap
from typing import Any

from lazycfg.cli.common import CommandError, find_config, load_config, look_at, one_path, say, split_words

__all__ = ["doc", "explain"]

_SETTINGS = "common/train.py"  # of the model zoo: what `train` may hold, with a comment for each


def explain(arguments: argparse.Namespace) -> int:
    """Print where a value was set, in order."""
    from lazycfg.inspection.explain import explain as explain_value

    path, overrides = one_path(arguments.words, required=True)
    say(look_at(arguments, overrides, lambda cfg: explain_value(cfg, path)))
    return 0


def doc(arguments: argparse.Namespace) -> int:
    """Print what a parameter means: its type, default and documentation, and the comment of who wrote it.

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
    from lazycfg.inspection.explain import named

    words = arguments.words
    if not split_words(words)[0] and _is_setting(arguments.config):
        arguments.config, words = _SETTINGS, [arguments.config, *words]
    elif not split_words(words)[0] and not _is_found(arguments.config):
        raise CommandError(
            f"{arguments.config!r} is no config: write lazycfg doc CONFIG {arguments.config} (only the "
            "settings of train, such as train.max_iter, need none)"
        )
    path, overrides = one_path(words, required=True)
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
        say(f"{path} = {named(value)}")
    if comment := _comment(arguments, path, overrides):
        say("\n".join(["", *textwrap.wrap(comment, 78, initial_indent="  ", subsequent_indent="  ")]))
    return 0


def _is_found(config: str) -> bool:
    """Return whether there is a config of this name."""
    try:
        find_config(config)
    except CommandError:
        return False
    return True


def _is_setting(word: str) -> bool:
    """Return whether a word is the path of a setting that every training has, and not a config file."""
    return word.partition(".")[0] == "train" and not os.path.exists(word)


def _comment(arguments: argparse.Namespace, path: str, overrides: list[str]) -> str:
    """Return the comment of a value: of the files that wrote it, else of the settings of a training."""
    from lazycfg.config.errors import PathError
    from lazycfg.inspection.comments import comment_of
    from lazycfg.inspection.explain import explain as explain_value

    if found := comment_of(look_at(arguments, overrides, lambda cfg: explain_value(cfg, path))):
        return found
    if not _is_setting(path):
        return ""
    try:
        return comment_of(explain_value(load_config(_SETTINGS), path))
    except PathError:  # a setting that only this config has
        return ""
