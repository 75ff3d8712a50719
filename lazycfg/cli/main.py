"""The command line of `lazycfg`: its parser and what it prints when something is wrong."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from lazycfg.cli.configs import CommandError, say

__all__ = ["main", "make_parser"]

_WORDS = "a config path and overrides: key=value, +key=value, ~key, **.key=value"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--complete"]:
        from lazycfg.cli.completion import complete

        return complete(words[1] if len(words) > 1 else "")
    arguments = _parse(words)
    with warnings.catch_warnings():
        # for whoever writes a config; who looks at one can do nothing about it
        warnings.filterwarnings("ignore", message="argument .* named like a method of dict")
        with _resolvers(arguments):
            return _run(arguments)


def _resolvers(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """While a command looks at a data file that is not trusted, only the resolvers run that are allowed."""
    names = [getattr(arguments, "config", ""), *getattr(arguments, "words", ())]
    if getattr(arguments, "trusted", True) or not any(
        name.lower().endswith((".yaml", ".yml", ".json")) for name in names
    ):
        return contextlib.nullcontext()
    from lazycfg.config.tree.interpolation import limited_resolvers
    from lazycfg.config.trust import DEFAULT_ALLOW, Policy

    return limited_resolvers(Policy((*DEFAULT_ALLOW, *arguments.allow)).allows_resolver)


def _run(arguments: argparse.Namespace) -> int:
    module, _, function = arguments.run_by.rpartition(".")
    try:
        status: int = getattr(importlib.import_module(f"lazycfg.cli.{module}"), function)(arguments)
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
        say(f"lazycfg: {_message(error)}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            say(f"  {note}", file=sys.stderr)
        return 2


def _message(error: Exception) -> str:
    """Return an error on one line; those that are not written for users get their type and place."""
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
    """Return the innermost place of an error outside of the loader of configs: what a user can mend."""
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "config", "")
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not place or not (file.startswith((own, "<frozen importlib")) or "/importlib/" in file):
            place = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        from lazycfg.config.suggest import closest_name

        choice = re.fullmatch(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
        missing = re.fullmatch(r"the following arguments are required: (.*)", message)
        if choice is not None:
            known = re.findall(r"'([^']*)'", choice[3])
            near = closest_name(choice[2], known)
            what = "command" if choice[1] == "COMMAND" else choice[1]
            message = f"unknown {what} {choice[2]!r}"
            message += f"; did you mean {near!r}?" if near else f"; available: {', '.join(known)}"
        elif missing is not None:
            names = [name for name in missing[1].split(", ") if name != "..."]
            message = f"missing {', '.join(name if name[0] == '-' else name.upper() for name in names)}"
        say(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def _parse(words: list[str]) -> argparse.Namespace:
    """Overrides may stand anywhere, also ``~key`` and negative numbers."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args(words)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        parser.error(f"unknown option {unknown[0]!r}{_near_option(words, unknown[0])}")
    if rest:
        arguments.words = [*getattr(arguments, "words", []), *rest]
    return arguments


def _near_option(words: list[str], wrong: str) -> str:
    from lazycfg.cli.completion import options_of
    from lazycfg.config.suggest import closest

    command = next((word for word in words if not word.startswith("-")), "")
    return closest(wrong, options_of(command))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="lazycfg",
        description="Look at, compare, check and save configs. A .py config is a program: every command runs "
        "it, but for show --no-run and completion. Data files (.yaml, .json) run nothing; see SECURITY.md.",
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run_by: str, text: str, words: str = _WORDS) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run_by=run_by)
        if name == "grep":
            added.add_argument("pattern", help="a regular expression")
        if name != "completion":
            added.add_argument("config", help="a config file, or its name in the model zoo")
            added.add_argument("words", nargs="*", metavar="...", help=words)
            trust = "trust the file like code: it may name and define anything"
            added.add_argument("--trusted", action="store_true", help=trust)
            name = "a name that a data file may have, too: package.module.Class, resolver:oc.env (repeatable)"
            added.add_argument("--allow", action="append", default=[], metavar="NAME", help=name)
        return added

    show = command("show", "reading.show", "print a config, or a part of it")
    show.add_argument("--depth", type=int, help="how many levels to open")
    show.add_argument("--format", choices=("tree", "py", "yaml", "json"), default="tree")
    show.add_argument("--colour", "--color", choices=("auto", "always", "never"), default="auto")
    show.add_argument("--matches", action="store_true", help="first list what overrides with wildcards match")
    text = "show what the syntax of a .py config tells, without running it"
    show.add_argument("--no-run", action="store_true", help=text)
    command("get", "reading.get", "print one value")
    command("explain", "reading.explain", "show where a value was set: files, lines, overrides")
    diff = command("diff", "reading.diff", "compare two configs, or one with and without overrides",
                   "the second config, or overrides")  # fmt: skip
    diff.add_argument(
        "--overrides", action="store_true", help="print the overrides that turn one into the other"
    )
    grep = command("grep", "reading.grep", "find paths and values", "more configs, and overrides")
    grep.add_argument("-i", "--ignore-case", action="store_true")
    graph = command("graph", "reading.graph", "draw a config, or a part of it, as SVG or HTML")
    graph.add_argument("-o", "--output", required=True, metavar="FILE", help="what to write: .svg or .html")
    graph.add_argument("--depth", type=int, help="how many levels to draw; of a page, how many are open")
    check = command(
        "check", "checking.check", "find every problem, and report the size of the model", "overrides"
    )
    check.add_argument(
        "--input-size", help="height x width of the image; 800x1333 where the model does not say"
    )
    check.add_argument(
        "--data", action="store_true", help="of a run, look at its data too, and whether the model fits it"
    )
    check.add_argument("--no-build", action="store_true", help="do not build the model")
    command("drift", "checking.drift", "tell what of a saved config no longer fits the code", "(nothing)")
    command("doc", "reading.doc", "print what a parameter means")
    command("save", "working.save", "write a config in the format of the suffix", "the file, and overrides")
    sweep = command("sweep", "working.sweep", "print or run the command lines of a sweep", "key=a,b,c")
    sweep.add_argument("--file", help="a Python file whose generator sweep() yields lists of overrides")
    sweep.add_argument(
        "--run", action="store_true", help="run them one after the other, each in its own folder"
    )
    sweep.add_argument("--keep-going", action="store_true", help="go on after a run that fails")
    sweep.add_argument("--command", help="what runs a config; lazycfg's tools/train_net.py by default")
    completion = command("completion", "completion.completion", "print the completion code of a shell")
    completion.add_argument("shell", choices=("bash", "zsh"))
    return parser
