"""The command `lsp`: a language server for editors."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from lazycfg.cli.common import CommandError

__all__ = ["lsp"]


def lsp(arguments: argparse.Namespace) -> int:
    """Serve an editor over standard input and output, until it ends.

    Raises:
        CommandError: pygls is not installed.
    """
    try:
        from lazycfg.editor.server import keep_collections_out_of_answers, make_server
    except ImportError as error:
        raise CommandError(f"lazycfg lsp needs pygls: pip install 'lazycfg[lsp]' ({error})") from None
    # Streams of its own: it closes them, and what anything else prints must not come between its messages
    incoming = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    keep_collections_out_of_answers()
    with contextlib.redirect_stdout(sys.stderr):
        make_server(run=arguments.run).start_io(incoming, outgoing)
    return 0
