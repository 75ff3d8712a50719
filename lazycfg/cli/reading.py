"""The commands that only read: show, get, explain, diff, doc, grep, graph."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

from lazycfg.cli.configs import CommandError, load_config, say, split_words, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.inspection.diff import Change

__all__ = ["diff", "doc", "explain", "get", "graph", "grep", "show"]


def _one_path(words: list[str], *, required: bool) -> tuple[str, list[str]]:
    paths, overrides = split_words(words)
    if len(paths) > 1 or (required and not paths):
        given = f"{len(paths)} were given: {' '.join(paths)}" if paths else "none was given"
        raise CommandError(f"one config path is expected after the config, {given}")
    path = paths[0] if paths else ""
    return path.removesuffix("."), overrides  # completion ends the path of a part with a dot


def _look(arguments: argparse.Namespace, overrides: list[str], look: Callable[[Any], Any]) -> Any:
    """Return what ``look`` finds in the config. Where a path leads into an object that is only deferred, the
    imports are made; what a data file names is not imported to look at it.
    """
    from lazycfg.config.errors import PathError

    trust = {"trusted": arguments.trusted, "allow": arguments.allow}
    cfg = load_config(arguments.config, overrides, **trust)
    try:
        return look(cfg)
    except PathError:
        if not arguments.config.endswith(".py"):
            raise
        return look(load_config(arguments.config, overrides, real=True, **trust))


def show(arguments: argparse.Namespace) -> int:
    """Print a config, or what stands at a path of it."""
    from lazycfg.config.tree.access import get_path

    path, overrides = _one_path(arguments.words, required=False)
    if arguments.no_run:
        return _show_syntax(arguments, path, overrides)
    for text in overrides if arguments.matches else ():
        _print_matches(arguments.config, text)
    value = _look(arguments, overrides, lambda cfg: get_path(cfg, path, resolve=False) if path else cfg)
    if arguments.format == "tree":
        from lazycfg.config.inspection.tree_view import tree_text

        print(tree_text(value, max_depth=arguments.depth, colour=wants_colour(arguments.colour)))
        return 0
    from lazycfg.config.formats.files import to_text

    print(to_text(value, arguments.format), end="")
    return 0


def _show_syntax(arguments: argparse.Namespace, path: str, overrides: list[str]) -> int:
    """Print what can be said of a Python config without running it."""
    from lazycfg.cli.configs import find_config
    from lazycfg.config.inspection.tree_view import tree_text
    from lazycfg.config.loading.syntax_only import read_syntax
    from lazycfg.config.tree.access import get_path

    file = find_config(arguments.config)
    if overrides or arguments.format != "tree" or not file.endswith(".py"):
        raise CommandError("--no-run shows a .py config as a tree, without overrides (data files never run)")
    cfg = read_syntax(file)
    value = get_path(cfg, path, resolve=False) if path else cfg
    print(tree_text(value, max_depth=arguments.depth, colour=wants_colour(arguments.colour)))
    say("# from the syntax alone: <...> stands for what only running the file would tell", file=sys.stderr)
    return 0


def _print_matches(config: str, text: str) -> None:
    from lazycfg.config.editing.matching import has_wildcard
    from lazycfg.config.editing.overrides import matched_paths
    from lazycfg.config.tree.paths import parse_path

    if has_wildcard(parse_path(text.lstrip("+~").partition("=")[0])):
        for matched in matched_paths(load_config(config), text):
            say(f"# {text}: {matched}")


def get(arguments: argparse.Namespace) -> int:
    """Print one value, as it would be written on a command line."""
    from lazycfg.config.tree.access import get_path

    path, overrides = _one_path(arguments.words, required=True)
    value = _look(arguments, overrides, lambda cfg: get_path(cfg, path))
    print(value if isinstance(value, str) else _spelled(value))
    return 0


def _spelled(value: Any) -> str:
    from lazycfg.config.editing.grammar import format_value
    from lazycfg.config.formats.python_io import to_py

    try:
        return format_value(value)
    except TypeError:
        text = to_py({"value": value}) if isinstance(value, dict | list | tuple) else repr(value)
        return text.rstrip("\n")


def explain(arguments: argparse.Namespace) -> int:
    """Print where a value was set, in order."""
    from lazycfg.config.inspection.explain import explain as explain_value

    path, overrides = _one_path(arguments.words, required=True)
    say(_look(arguments, overrides, lambda cfg: explain_value(cfg, path)))
    return 0


def doc(arguments: argparse.Namespace) -> int:
    """Print what a parameter means: its type, default and documentation.

    Raises:
        CommandError: nothing stands at the path
    """
    from lazycfg.config.signatures.binding import why_not
    from lazycfg.config.signatures.docstrings import parameter_doc, target_doc
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.keys import find_key
    from lazycfg.config.tree.node import is_call, raw_get
    from lazycfg.config.tree.paths import MISSING, parse_path
    from lazycfg.config.tree.targets import target_name

    path, overrides = _one_path(arguments.words, required=True)
    keys = parse_path(path)
    holder: Any = _look(arguments, overrides, lambda cfg: get_path(cfg, keys[:-1]))
    value: Any = find_key(holder, keys[-1])
    takes = is_call(holder) and isinstance(keys[-1], str)
    if takes:
        reason = why_not(holder, keys[-1])
        if reason is not None:
            raise CommandError(f"config path {path!r}: {reason}")
        say(parameter_doc(holder, keys[-1]))
    elif value is MISSING:
        _look(arguments, overrides, lambda cfg: get_path(cfg, keys))  # says how far the path leads
    if is_call(value):
        say(f"{path} is a call of {target_name(raw_get(value, '_target_'), full=True)}:\n")
        say(target_doc(value))
    elif not takes:
        say(f"{path} = {value!r}")
    return 0


def diff(arguments: argparse.Namespace) -> int:
    """Compare two configs, or one with and without overrides; the exit status is 1 when they differ.

    Raises:
        CommandError: neither two configs nor one with overrides are given
    """
    from lazycfg.config.inspection.diff import diff as compare

    others, overrides = split_words(arguments.words)
    if len(others) > 1 or not (others or overrides):
        raise CommandError("diff takes two configs, or one config and overrides")
    other = others[0] if others else arguments.config
    trust = {"trusted": arguments.trusted, "allow": arguments.allow}
    first = load_config(arguments.config, **trust)
    found = compare(first, load_config(other, overrides, **trust), importing=False)
    if arguments.overrides or any(map(_is_uncertain, found)):
        found = compare(
            load_config(arguments.config, real=True, **trust),
            load_config(other, overrides, real=True, **trust),
        )
    if arguments.overrides:
        print("\n".join(map(shlex.quote, found.overrides())))  # for another command line: exactly as it is
    else:
        say(found)
    return 1 if found else 0


def _is_uncertain(change: Change) -> bool:
    """Whether only importing tells if two values differ: what a call of a module gives, a name that may be
    another one for the same object, an argument that was given by position here and by name there."""
    from lazycfg.config.tree.paths import parse_path
    from lazycfg.config.tree.targets import is_deferred, target_name
    from lazycfg.config.tree.traversal import walk

    if "_args_" in parse_path(change.path):
        return True
    old, new = change.old, change.new
    if change.kind == "changed" and all(
        any(is_deferred(value) and type(value).__lazycfg_call__(value) for _, value in walk(side))
        for side in (old, new)
    ):
        return True
    if not any(is_deferred(side) or isinstance(side, str) for side in (old, new)) or not (
        callable(old) or callable(new)
    ):
        return False
    return target_name(old).rpartition(".")[2] == target_name(new).rpartition(".")[2]


def grep(arguments: argparse.Namespace) -> int:
    """Print the paths whose text or value matches a pattern; the exit status is 1 when none does.

    Raises:
        CommandError: the pattern is no regular expression
    """
    from lazycfg.config.tree.containers import children
    from lazycfg.config.tree.node import is_call, raw_get
    from lazycfg.config.tree.paths import format_path
    from lazycfg.config.tree.repr import short_repr
    from lazycfg.config.tree.targets import target_name
    from lazycfg.config.tree.traversal import walk

    paths, overrides = split_words(arguments.words)
    try:
        pattern = re.compile(arguments.pattern, re.IGNORECASE if arguments.ignore_case else 0)
    except re.error as error:
        raise CommandError(f"{arguments.pattern!r} is not a valid regular expression: {error}") from None
    found = False
    configs = [arguments.config, *paths]
    for config in configs:
        prefix = f"{config}: " if len(configs) > 1 else ""
        for path, value in walk(
            load_config(config, overrides, trusted=arguments.trusted, allow=arguments.allow)
        ):
            if not path or path[-1] in ("_target_", "_partial_"):
                continue
            if is_call(value):
                text = target_name(raw_get(value, "_target_"))
            else:
                text = short_repr(value) if children(value) is None else ""
            if pattern.search(format_path(path)) or pattern.search(text):
                found = True
                say(
                    f"{prefix}{format_path(path)}: {text}".rstrip(" :")
                    if not text
                    else f"{prefix}{format_path(path)}: {text}"
                )
    return 0 if found else 1


def graph(arguments: argparse.Namespace) -> int:
    """Draw a config, or what stands at a path of it.

    Raises:
        CommandError: the format is not known, or the depth is negative
    """
    from lazycfg.config.inspection.graph_drawing import to_html, to_svg
    from lazycfg.config.tree.access import get_path

    path, overrides = _one_path(arguments.words, required=False)
    output = arguments.output
    writers = {".svg": to_svg, ".html": to_html}
    suffix = os.path.splitext(output)[1]
    if suffix not in writers:
        raise CommandError(f"unknown format of {output!r}; use {', '.join(writers)}")
    if arguments.depth is not None and arguments.depth < 0:
        raise CommandError(f"--depth is 0 or more, not {arguments.depth}")
    value = _look(arguments, overrides, lambda cfg: get_path(cfg, path) if path else cfg)
    title = f"{os.path.basename(arguments.config)}{f': {path}' if path else ''}"
    text = writers[suffix](value, title=title, max_depth=arguments.depth)
    with open(output, "w", encoding="utf-8") as stream:
        stream.write(text)
    print(output)
    return 0
