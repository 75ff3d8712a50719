"""The parser of the command line of `lazycfg`."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from lazycfg.cli.common import say
from lazycfg.cli.running import add_config, add_running_commands

__all__ = ["command_names", "make_parser", "options_of", "parse", "parser_of"]

_WORDS = "a config path, and overrides: key=value, +key=value, ~key, **.key=value"


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
    """Parse a command line; overrides may be anywhere, also ``~key`` and negative numbers.

    What follows ``--`` is no option.
    """
    parser = make_parser()
    plain: list[str] = []
    if "--" in words:
        place = words.index("--")
        words, plain = words[:place], words[place + 1 :]
    known = parser._option_string_actions
    if words and all(word.startswith("-") and word not in known for word in words):
        # argparse would only say that the command is missing
        parser.error(f"unknown option {words[0]!r}{_near_option('', words[0], words)}")
    # Wanted when a command has failed, and then typed at its end
    arguments, rest = parser.parse_known_args([word for word in words if word != "--traceback"])
    arguments.traceback = "--traceback" in words
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        command = next((word for word in words if not word.startswith("-")), "")
        of_command = parser_of(command) or parser
        of_command.error(f"unknown option {unknown[0]!r}{_near_option(command, unknown[0], rest)}")
    rest += plain
    if rest and not hasattr(arguments, "words"):
        parser.error(f"unexpected {rest[0]!r}: this command takes no overrides and no further names")
    if rest:
        arguments.words = [*arguments.words, *rest]
    return arguments


def _near_option(command: str, wrong: str, rest: list[str]) -> str:
    """Return the end of the message: the option or the override that was meant.

    Args:
        command: its name.
        wrong: what was typed.
        rest: the words that no option has taken, of which the next may be the value.
    """
    from lazycfg.config.suggest import closest

    name, equals, value = wrong.lstrip("-").partition("=")
    if "." in name:
        following = rest[rest.index(wrong) + 1 :]
        value = value if equals else next((word for word in following if not word.startswith("-")), "...")
        return f"; an override has no dashes before it: {name}={value}"
    if command in ("train", "eval", "benchmark"):
        from dataclasses import fields

        from lazycfg.engine.settings import TrainSettings

        following = rest[rest.index(wrong) + 1 :]
        value = value if equals else next((word for word in following if not word.startswith("-")), "...")
        if (key := name.replace("-", "_")) in {field.name for field in fields(TrainSettings)}:
            return f"; it is a setting of the config: train.{key}={value}"
    return closest(wrong, options_of(command))


_GROUPS = {
    "your data": "data visualize prepare",
    "train and evaluate": "train eval predict report runs export sweep benchmark analyze",
    "configs": "ls copy show get explain doc grep diff check graph save drift convert",
    "other": "weights push pull env lsp completion",
}


class _CommandsParser(_Parser):
    """The parser of all commands, whose help lists them in groups."""

    def format_help(self) -> str:
        """Return the help text: the commands by what they are for, then the options."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        helps = {
            entry.dest: entry
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for entry in action._choices_actions
        }
        for title, names in _GROUPS.items():
            formatter.start_section(title)
            formatter.add_arguments([helps[name] for name in names.split()])
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments([action for action in self._actions if action.option_strings])
        formatter.end_section()
        return formatter.format_help()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _CommandsParser(
        prog="lazycfg",
        description="Look at, compare and check configs; train, evaluate and predict with them. A .py config "
        "is a program, and every command runs it except show --no-run, lsp and completion. Data files "
        "(.yaml, .json) run no code; see SECURITY.md.",
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run_by: str, text: str, words: str = _WORDS) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run_by=run_by)
        if name == "grep":
            added.add_argument("pattern", help="a regular expression")
        if name == "data":
            added.add_argument("path", help="an annotation file, or the folder of a dataset")
        if name == "weights":
            added.add_argument("path", help="a weights file, or the name of weights to download")
        if name == "convert":
            added.add_argument("source", help="the config of the other system")
        if name in ("convert", "data", "ls", "weights"):
            added.add_argument("words", nargs="*", metavar="...", help=words)
        elif name == "report":
            added.add_argument("folder", help="the folder of a run, which may still be in progress")
        elif name == "runs":
            added.add_argument(
                "folders", nargs="+", metavar="FOLDER", help="the folder of a run, or of several runs"
            )
        elif name not in ("completion", "lsp"):
            add_config(added, "a config file, or its name in the model zoo", words)
        return added

    show = command("show", "show.show", "print a config, or a part of it")
    show.add_argument("--depth", type=int, help="how many levels to open")
    show.add_argument("--format", choices=("tree", "py", "yaml", "json"), default="tree",
                      help="the output format; tree by default")  # fmt: skip
    show.add_argument("--colour", "--color", choices=("auto", "always", "never"), default="auto",
                      help="color the tree; by default only on a terminal")  # fmt: skip
    show.add_argument("--matches", action="store_true", help="first list what wildcards in overrides match")
    text = "show what the syntax of a .py config says, without running it"
    show.add_argument("--no-run", action="store_true", help=text)
    command("get", "show.get", "print one value")
    command("explain", "explain.explain", "show where a value was set: files, lines, overrides")
    diff = command("diff", "diff.diff", "compare two configs, or a config with and without overrides",
                   "the second config, or overrides")  # fmt: skip
    diff.add_argument(
        "--overrides", action="store_true", help="print the overrides that turn one into the other"
    )
    grep = command("grep", "grep.grep", "find paths and values", "more configs, and overrides")
    grep.add_argument("-i", "--ignore-case", action="store_true", help="ignore upper and lower case")
    graph = command("graph", "graph.graph", "draw a config, or a part of it, as SVG or HTML")
    graph.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the file to write: .svg or .html"
    )
    graph.add_argument("--depth", type=int, help="how many levels to draw; in HTML, how many are open")
    check = command(
        "check",
        "check.check",
        "find every problem in a config, and report the size of its model",
        "more configs, and overrides",
    )
    check.add_argument(
        "--input-size", help="height x width of the image; by default the model's own, or 800x1333"
    )
    check.add_argument(
        "--data", action="store_true", help="also open the datasets, and check that the model fits them"
    )
    check.add_argument("--no-build", action="store_true", help="do not build the model")
    check.add_argument("--format", choices=("text", "json", "github", "sarif"), default="text",
                       help="the format of the problems; text by default")  # fmt: skip
    text = "skip files that are not configs, judging by their syntax"
    check.add_argument("--skip-others", action="store_true", help=text)
    command("drift", "diff.drift", "list what in a saved config no longer fits the code",
            "not used by this command")  # fmt: skip
    text = "a config path, and overrides; 'doc train.max_iter' needs no config"
    command("doc", "explain.doc", "print what a parameter or a setting means", text)
    command(
        "save",
        "save.save",
        "save a config, in the format of the file's suffix",
        "the file to write, and overrides",
    )
    command("ls", "zoo.ls", "list the configs of the model zoo", "words that the names must contain")
    command("copy", "zoo.copy", "copy a zoo config to a file of your own", "the file to write, or a folder")
    convert = command("convert", "convert.convert", "convert a config of another system",
                      "overrides in the syntax of the other system")  # fmt: skip
    convert.add_argument(
        "-o", "--output", metavar="OUT.py", help="the file to write; by default, the result is printed"
    )
    convert.add_argument("--from", dest="format", help="the format, if it is not recognized: yacs, ...")
    text = "where mmengine's names are defined: a module, or Name=package.module.Name (repeatable)"
    convert.add_argument("--scope", action="append", default=[], metavar="MODULE", help=text)
    text = "leave out a key or section of your own project, 'MODEL.MINE.*' (repeatable)"
    convert.add_argument("--ignore", action="append", default=[], metavar="KEY", help=text)
    convert.add_argument("--force", action="store_true", help="overwrite an existing file")
    text = "overrides, such as detectron2's KEY VALUE pairs: --opts SOLVER.BASE_LR 0.01"
    convert.add_argument("--opts", nargs=argparse.REMAINDER, default=[], help=text)
    data = command("data", "data.data", "summarize a dataset, and list everything that is wrong with it",
                   "not used by this command")  # fmt: skip
    data.add_argument("--format", help="the format, if it is not recognized: coco, yolo, voc, cvat, ...")
    data.add_argument("--part", metavar="NAME", help="use this split only: train, val, ...")
    data.add_argument("--images", metavar="FOLDER", help="where the images are, if they are not found")
    data.add_argument(
        "--decode", action="store_true", help="decode all images; by default, only their headers are read"
    )
    data.add_argument("--fix", metavar="OUT.json", help="write everything that is right to a COCO file")
    text = "with --fix: the fraction for training; writes OUT_train.json and OUT_val.json"
    data.add_argument("--split", metavar="0.8", help=text)
    data.add_argument("--seed", type=int, default=0, help="the random seed of --split; 0 by default")
    data.add_argument("--show", type=int, default=0, metavar="N", help="draw N images with their annotations")
    data.add_argument(
        "--output", default="shown", metavar="FOLDER", help="where --show writes; 'shown' by default"
    )
    sweep = command("sweep", "sweep.sweep", "print or run the command lines of a sweep", "key=a,b,c")
    sweep.add_argument("--file", help="a Python file whose function sweep() yields lists of overrides")
    sweep.add_argument(
        "--run", action="store_true", help="run them one after the other, each in its own folder"
    )
    sweep.add_argument("--keep-going", action="store_true", help="continue after a run that fails")
    sweep.add_argument("--command", help="the command that runs a config; 'lazycfg train' by default")
    weights = command("weights", "weights.weights", "convert weights, and print how keys are renamed",
                      "overrides for --config")  # fmt: skip
    weights.add_argument("-o", "--output", metavar="FILE", help="the file to write: .safetensors or .pth")
    text = (
        "the library they come from: torchvision, timm, mae, dinov2, swin, mvit, caffe2, detectron2; "
        "by default, the keys tell"
    )
    weights.add_argument("--from", dest="origin", default="auto", metavar="NAME", help=text)
    weights.add_argument("--to", choices=("lazycfg", "detectron2", "torchvision"), default="lazycfg",
                         help="the library to convert to; lazycfg by default")  # fmt: skip
    text = "a config: write the keys of its model, and report what does not fit"
    weights.add_argument("--config", metavar="CONFIG", help=text)
    text = "for a detector with COCO's 91 labels: keep all 90 classes, or the 80 in use"
    weights.add_argument("--classes", choices=("auto", "all", "coco"), default="auto", help=text)
    weights.add_argument("--strip", default="", metavar="PREFIX", help="a prefix of all keys, to remove")
    add_running_commands(commands)
    server = command("lsp", "lsp.lsp", "start the language server for editors (docs/editor.md)")
    server.add_argument(
        "--run", action="store_true", help="run configs when they are opened or saved, to check them"
    )
    report = command("report", "report.report", "write the report of a run as one HTML page")
    report.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write; by default report.html in the run's folder"
    )
    runs = command("runs", "runs.runs", "compare the results and configs of runs")
    text = "a metric, such as bbox/AP50 or total_loss (repeatable); the main one of each task by default"
    runs.add_argument("--metric", action="append", default=[], metavar="NAME", help=text)
    text = "sort by a metric, the best run first; or by run, iterations or time"
    runs.add_argument("--sort", metavar="NAME", help=text)
    runs.add_argument("--format", choices=("text", "json", "csv"), default="text",
                      help="the output format; text by default")  # fmt: skip
    completion = command("completion", "completion.completion", "print the code for completion in a shell")
    completion.add_argument("shell", choices=("bash", "zsh"), help="the shell")
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
    """Return the long options of a command, or those without one."""
    parser = parser_of(command) if command else make_parser()
    return [] if parser is None else [name for name in parser._option_string_actions if name.startswith("--")]
