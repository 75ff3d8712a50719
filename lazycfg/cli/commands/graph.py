"""The command `graph`: draw a config as SVG or HTML."""

from __future__ import annotations

import argparse
import os

from lazycfg.cli.common import CommandError, look_at, one_path

__all__ = ["graph"]


def graph(arguments: argparse.Namespace) -> int:
    """Draw a config, or what is at a path of it.

    Raises:
        CommandError: the format or the depth is none.
    """
    from lazycfg.config.tree.access import get_path
    from lazycfg.inspection.graph_drawing import to_html, to_svg

    path, overrides = one_path(arguments.words, required=False)
    output = arguments.output
    writers = {".svg": to_svg, ".html": to_html}
    suffix = os.path.splitext(output)[1]
    if suffix not in writers:
        raise CommandError(f"unknown format of {output!r}; use {', '.join(writers)}")
    if arguments.depth is not None and arguments.depth < 0:
        raise CommandError(f"--depth is 0 or more, not {arguments.depth}")
    value = look_at(arguments, overrides, lambda cfg: get_path(cfg, path) if path else cfg)
    title = f"{os.path.basename(arguments.config)}{f': {path}' if path else ''}"
    text = writers[suffix](value, title=title, max_depth=arguments.depth)
    with open(output, "w", encoding="utf-8") as stream:
        stream.write(text)
    print(output)
    return 0
