"""The command `grep`: find paths and values in configs."""

from __future__ import annotations

import argparse
import re

from lazycfg.cli.common import CommandError, load_config, loading_options, say, split_words

__all__ = ["grep"]


def grep(arguments: argparse.Namespace) -> int:
    """Print the paths whose text or value matches a pattern; the exit status is 1 when none does.

    Raises:
        CommandError: the pattern is no regular expression.
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
        for path, value in walk(load_config(config, overrides, **loading_options(arguments))):
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
