"""The command line of `lazycfg`: runs a command and prints what is wrong."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from lazycfg.cli.common import CommandError, say
from lazycfg.cli.parser import parse

__all__ = ["main", "message_of"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--complete"]:
        from lazycfg.cli.commands.completion import complete

        return complete(words[1] if len(words) > 1 else "")
    arguments = parse(words)
    with warnings.catch_warnings():
        # for whoever writes a config; who looks at one can do nothing about it
        warnings.filterwarnings("ignore", message="argument .* named like a method of dict")
        with _resolvers(arguments):
            return _run(arguments)


def _resolvers(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Return a context in which a data file that is not trusted runs only the resolvers that are allowed."""
    names = [getattr(arguments, "config", ""), *getattr(arguments, "words", ())]
    if getattr(arguments, "trusted", True) or not any(
        name.lower().endswith((".yaml", ".yml", ".json")) or name.startswith("hf://") or os.path.isdir(name)
        for name in names
    ):
        return contextlib.nullcontext()
    from lazycfg.config.tree.interpolation import limited_resolvers
    from lazycfg.config.trust import DEFAULT_ALLOW, Policy

    return limited_resolvers(Policy((*DEFAULT_ALLOW, *arguments.allow)).allows_resolver)


def _run(arguments: argparse.Namespace) -> int:
    module, _, function = arguments.run_by.rpartition(".")
    try:
        status: int = getattr(importlib.import_module(f"lazycfg.cli.commands.{module}"), function)(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `lazycfg show x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if arguments.traceback:
            raise
        say(f"lazycfg: {message_of(error)}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            say(f"  {note}", file=sys.stderr)
        return 2


def message_of(error: Exception) -> str:
    """Return an error on one line: ours, and files that are not there, explain themselves; of others the kind
    and the place are told too.
    """
    from lazycfg.config.errors import ConfigError
    from lazycfg.config.trust import UntrustedError

    if isinstance(error, UntrustedError):
        return error.with_options()
    if isinstance(error, ConfigError | CommandError):
        return str(error)
    if isinstance(error, OSError):
        named = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{': '.join([*named, error.strerror])}" if error.strerror else str(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}: {(error.text or '').strip()}"
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    return f"{kind}{text} ({_place(error)}; --traceback shows the way there)"


def _place(error: Exception) -> str:
    """Return the innermost place of an error that is not in the loader of configs: what a user can mend."""
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "config", "")
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not place or not (file.startswith((own, "<frozen importlib")) or "/importlib/" in file):
            place = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
