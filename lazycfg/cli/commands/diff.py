"""The commands that compare: `diff` of two configs, and `drift` of a saved config and the code."""

from __future__ import annotations

import argparse
import shlex

from lazycfg.cli.common import CommandError, find_config, load_config, loading_options, say, split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.inspection.diff import Change

__all__ = ["diff", "drift"]


def diff(arguments: argparse.Namespace) -> int:
    """Compare two configs, or one with and without overrides; the exit status is 1 when they differ.

    Raises:
        CommandError: there is nothing to compare with.
    """
    from lazycfg.inspection.diff import diff as compare

    others, overrides = split_words(arguments.words)
    if len(others) > 1 or not (others or overrides or arguments.set_file):
        raise CommandError("diff takes two configs, or one config and overrides or --set-file")
    other = others[0] if others else arguments.config
    options = loading_options(arguments)
    alone = options | {"set_files": ()}
    first = load_config(arguments.config, **alone)
    found = compare(first, load_config(other, overrides, **options), importing=False)
    if arguments.overrides or any(map(_is_uncertain, found)):
        found = compare(
            load_config(arguments.config, real=True, **alone),
            load_config(other, overrides, real=True, **options),
        )
    if arguments.overrides:
        print("\n".join(map(shlex.quote, found.overrides())))  # for another command line: exactly as it is
    else:
        say(found)
    return 1 if found else 0


def _is_uncertain(change: Change) -> bool:
    """Return whether only importing tells if two values differ: what a call of a module gives, a name that
    may be another one for the same object, an argument that was given by position here and by name there.
    """
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


def drift(arguments: argparse.Namespace) -> int:
    """Tell what of a saved config no longer fits the code; the exit status is 1 when something does not.

    Raises:
        CommandError: there is more than one file.
    """
    from lazycfg.config.trust import DEFAULT_ALLOW
    from lazycfg.inspection.drift import drift as compare

    if arguments.words or arguments.set_file:
        more = " ".join(arguments.words) or f"--set-file {arguments.set_file[0]}"
        raise CommandError(f"drift takes one file, not {more!r} too")
    found = compare(
        find_config(arguments.config), trusted=arguments.trusted, allow=(*DEFAULT_ALLOW, *arguments.allow)
    )
    say(found)
    return 1 if found else 0
