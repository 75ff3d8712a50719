"""The parser of the command line of `lazycfg`."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from lazycfg.cli.common import say

__all__ = ["command_names", "make_parser", "options_of", "parse", "parser_of"]

_WORDS = "a config path and overrides: key=value, +key=value, ~key, **.key=value"


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the words, and how a command is written.

        Raises:
            SystemExit: always.
        """
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


class _Version(argparse.Action):
    """Prints the version; importing the package metadata waits until it is asked for."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None):
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"lazycfg {version('lazycfg')}")
        except PackageNotFoundError:
            say("lazycfg, not installed")
        raise SystemExit(0)


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command line; overrides may be anywhere, also ``~key`` and negative numbers."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args(words)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        parser.error(f"unknown option {unknown[0]!r}{_near_option(words, unknown[0])}")
    if rest:
        arguments.words = [*getattr(arguments, "words", []), *rest]
    return arguments


def _near_option(words: list[str], wrong: str) -> str:
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
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run_by: str, text: str, words: str = _WORDS) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run_by=run_by)
        if name == "grep":
            added.add_argument("pattern", help="a regular expression")
        if name == "data":
            added.add_argument("path", help="an annotation file, or the folder of a data set")
        if name in ("data", "ls"):
            added.add_argument("words", nargs="*", metavar="...", help=words)
        elif name != "completion":
            added.add_argument("config", help="a config file, or its name in the model zoo")
            added.add_argument("words", nargs="*", metavar="...", help=words)
            trust = "trust the file like code: it may name and define anything"
            added.add_argument("--trusted", action="store_true", help=trust)
            name = "a name that a data file may have, too: package.module.Class, resolver:oc.env (repeatable)"
            added.add_argument("--allow", action="append", default=[], metavar="NAME", help=name)
            text = "a config file to merge into it, before the overrides (repeatable)"
            added.add_argument("--set-file", action="append", default=[], metavar="FILE", help=text)
        return added

    show = command("show", "show.show", "print a config, or a part of it")
    show.add_argument("--depth", type=int, help="how many levels to open")
    show.add_argument("--format", choices=("tree", "py", "yaml", "json"), default="tree")
    show.add_argument("--colour", "--color", choices=("auto", "always", "never"), default="auto")
    show.add_argument("--matches", action="store_true", help="first list what overrides with wildcards match")
    text = "show what the syntax of a .py config says, without running it"
    show.add_argument("--no-run", action="store_true", help=text)
    command("get", "show.get", "print one value")
    command("explain", "explain.explain", "show where a value was set: files, lines, overrides")
    diff = command("diff", "diff.diff", "compare two configs, or one with and without overrides",
                   "the second config, or overrides")  # fmt: skip
    diff.add_argument(
        "--overrides", action="store_true", help="print the overrides that turn one into the other"
    )
    grep = command("grep", "grep.grep", "find paths and values", "more configs, and overrides")
    grep.add_argument("-i", "--ignore-case", action="store_true")
    graph = command("graph", "graph.graph", "draw a config, or a part of it, as SVG or HTML")
    graph.add_argument("-o", "--output", required=True, metavar="FILE", help="what to write: .svg or .html")
    graph.add_argument("--depth", type=int, help="how many levels to draw; of a page, how many are open")
    check = command(
        "check", "check.check", "find every problem, and report the size of the model", "overrides"
    )
    check.add_argument(
        "--input-size", help="height x width of the image; 800x1333 where the model does not say"
    )
    check.add_argument(
        "--data", action="store_true", help="of a run, look at its data too, and whether the model fits it"
    )
    check.add_argument("--no-build", action="store_true", help="do not build the model")
    command("drift", "diff.drift", "tell what of a saved config no longer fits the code", "(nothing)")
    command("doc", "explain.doc", "print what a parameter means")
    command("save", "save.save", "write a config in the format of the suffix", "the file, and overrides")
    command("ls", "zoo.ls", "list the configs of the model zoo", "words that the names have")
    command(
        "copy", "zoo.copy", "write a config of the model zoo as a file of your own", "the file, or a folder"
    )
    data = command("data", "data.data", "tell what a data set holds, and everything that is wrong with it",
                   "(nothing)")  # fmt: skip
    data.add_argument("--format", help="the format, where it is not recognised: coco, yolo, voc, cvat, ...")
    data.add_argument("--part", metavar="NAME", help="look at one split only: train, val, ...")
    data.add_argument("--images", metavar="FOLDER", help="where the images are, if they are not found")
    data.add_argument(
        "--decode", action="store_true", help="decode all images, too; else their heads are read"
    )
    data.add_argument("--fix", metavar="OUT.json", help="write what can be used as a COCO file")
    text = "with --fix, the share for training: OUT_train.json and OUT_val.json are written"
    data.add_argument("--split", metavar="0.8", help=text)
    data.add_argument("--seed", type=int, default=0, help="of --split; 0 by default")
    data.add_argument(
        "--show", type=int, default=0, metavar="N", help="write N images with their annotations"
    )
    data.add_argument("--output", default="shown", metavar="FOLDER", help="of --show; 'shown' by default")
    sweep = command("sweep", "sweep.sweep", "print or run the command lines of a sweep", "key=a,b,c")
    sweep.add_argument("--file", help="a Python file whose generator sweep() yields lists of overrides")
    sweep.add_argument(
        "--run", action="store_true", help="run them one after the other, each in its own folder"
    )
    sweep.add_argument("--keep-going", action="store_true", help="go on after a run that fails")
    sweep.add_argument("--command", help="what runs a config; lazycfg's tools/train_net.py by default")
    completion = command("completion", "completion.completion", "print the completion code of a shell")
    completion.add_argument("shell", choices=("bash", "zsh"))
    return parser


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def command_names() -> list[str]:
    """Return the names of the commands."""
    return sorted(_commands())


def parser_of(command: str) -> argparse.ArgumentParser | None:
    """Return the parser of one command; None when there is no such command."""
    return _commands().get(command)


def options_of(command: str) -> list[str]:
    """Return the long options of a command."""
    parser = parser_of(command)
    return [] if parser is None else [name for name in parser._option_string_actions if name.startswith("--")]
