"""The command `save`: write a config with its overrides."""

from __future__ import annotations

import argparse

from lazycfg.cli.common import CommandError, load_config, loading_options, split_words

__all__ = ["save"]


def save(arguments: argparse.Namespace) -> int:
    """Write a config with its overrides to a file, in the format of its suffix.

    Raises:
        CommandError: there is no file to write.
    """
    from lazycfg.config.formats.files import format_of
    from lazycfg.config.formats.files import save as write

    others, overrides = split_words(arguments.words)
    if len(others) != 1:
        raise CommandError("save takes the file to write, and overrides")
    format_of(others[0])
    write(
        load_config(arguments.config, overrides, real=True, **loading_options(arguments)),
        others[0],
    )
    print(others[0])
    return 0
