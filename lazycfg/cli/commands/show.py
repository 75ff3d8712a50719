"""The commands `show` and `get`: print a config, a part of it, or one value."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lazycfg.cli.common import (
    CommandError,
    find_config,
    load_config,
    loading_options,
    look_at,
    one_path,
    say,
    wants_colour,
)

__all__ = ["get", "show"]


def show(arguments: argparse.Namespace) -> int:
    """Print a config, or what is at a path of it."""
    from lazycfg.config.tree.access import get_path

    path, overrides = one_path(arguments.words, required=False)
    if arguments.no_run:
        return _show_syntax(arguments, path, overrides)
    if arguments.matches:
        _print_matches(arguments, overrides)
    value = look_at(arguments, overrides, lambda cfg: get_path(cfg, path, resolve=False) if path else cfg)
    if arguments.format == "tree":
        from lazycfg.inspection.tree_view import tree_text

        print(tree_text(value, max_depth=arguments.depth, colour=wants_colour(arguments.colour)))
        return 0
    from lazycfg.config.formats.files import to_text

    print(to_text(value, arguments.format), end="")
    return 0


def _show_syntax(arguments: argparse.Namespace, path: str, overrides: list[str]) -> int:
    """Print what can be said of a Python config without running it."""
    from lazycfg.config.tree.access import get_path
    from lazycfg.inspection.tree_view import tree_text
    from lazycfg.without_importing.syntax_only import read_syntax

    file = find_config(arguments.config)
    if overrides or arguments.format != "tree" or not file.endswith(".py"):
        raise CommandError("--no-run shows a .py config as a tree, without overrides (data files never run)")
    cfg = read_syntax(file)
    value = get_path(cfg, path, resolve=False) if path else cfg
    print(tree_text(value, max_depth=arguments.depth, colour=wants_colour(arguments.colour)))
    say("# from the syntax alone: <...> is what only running the file would show", file=sys.stderr)
    return 0


def _print_matches(arguments: argparse.Namespace, overrides: list[str]) -> None:
    """Print the config paths that overrides with wildcards would set."""
    from lazycfg.config.editing.grammar import parse_override
    from lazycfg.config.editing.matching import has_wildcard
    from lazycfg.config.editing.overrides import matched_paths
    from lazycfg.config.tree.paths import parse_path

    patterns = [text for text in overrides if has_wildcard(parse_path(parse_override(text).path))]
    cfg = load_config(arguments.config, **loading_options(arguments)) if patterns else None
    for text in patterns:
        for matched in matched_paths(cfg, text):
            say(f"# {text}: {matched}")


def get(arguments: argparse.Namespace) -> int:
    """Print one value, as it would be written on a command line."""
    from lazycfg.config.tree.access import get_path

    path, overrides = one_path(arguments.words, required=True)
    value = look_at(arguments, overrides, lambda cfg: get_path(cfg, path))
    print(value if isinstance(value, str) else _spelled(value))
    return 0


def _spelled(value: Any) -> str:
    from lazycfg.config.formats.python_io import to_py
    from lazycfg.inspection.explain import named
    from lazycfg.inspection.override_text import format_value

    try:
        return format_value(value)
    except TypeError:
        text = to_py({"value": value}) if isinstance(value, dict | list | tuple) else named(value)
        return text.rstrip("\n")
