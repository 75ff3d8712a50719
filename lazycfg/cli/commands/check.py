"""The commands `check` (every problem of a config, then its model tried out without memory) and `drift`."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import (
    CommandError,
    find_config,
    load_config,
    loading_options,
    say,
    say_lines,
    size_option,
    split_words,
)

if TYPE_CHECKING:
    from lazycfg.cli.findings import Finding
    from lazycfg.engine.model_summary import Part, Trial

__all__ = ["check", "error_text", "input_size", "part_labels", "trial_text"]

_LONGEST_NAME = 34
_WIDEST, _NARROWEST = 118, 60


def check(arguments: argparse.Namespace) -> int:
    """Find every problem of configs, then build their models without memory and report their size.

    Raises:
        CommandError: the options do not go together.
    """
    more, overrides = split_words(arguments.words)
    input_size(arguments.input_size)
    files = {config: find_config(config) for config in (arguments.config, *more)}
    configs = [name for name, file in files.items() if not arguments.skip_others or _is_config(file)]
    if arguments.format != "text":
        from lazycfg.cli.findings import render

        findings = [found for config in configs for found in _findings(config, overrides, arguments)]
        if text := render(findings, arguments.format):
            print(text)
        return 1 if findings else 0
    status = 0
    for config in configs:
        if len(configs) > 1:
            say(f"{config}:")
        status = max(status, _check_one(config, overrides, arguments))
    return status


def _is_config(file: str) -> bool:
    """Return whether a file is a config: a data file, or one of Python in which calls are recorded."""
    from lazycfg.config.errors import ConfigError
    from lazycfg.config.tree.node import Node, is_call, raw_values
    from lazycfg.without_importing.syntax_only import read_syntax

    if not file.endswith(".py"):
        return True
    try:
        waiting: list[Any] = [read_syntax(file)]
    except (ConfigError, SyntaxError, OSError):
        return True  # is told when it is loaded
    while waiting:
        value = waiting.pop()
        if is_call(value):
            return True
        if isinstance(value, Node):
            waiting += raw_values(value)
        elif isinstance(value, list | tuple):
            waiting += value
    return False


def _check_one(config: str, overrides: list[str], arguments: argparse.Namespace) -> int:
    """Print what is wrong with a config, and the report of its model; return the exit status."""
    cfg = _loaded(config, overrides, arguments)
    looked = _look(cfg, arguments)
    for note in looked.notes:
        say_lines(f"note: {note}")
    for problem in looked.problems:
        say_lines(problem.on_command_line() if hasattr(problem, "on_command_line") else problem)
    fits = True
    if looked.build and dict.get(cfg, "model") is not None:
        from lazycfg.engine.preflight.without_running import size_of_test_images

        size = input_size(arguments.input_size)
        usual = size_of_test_images(cfg) if size is None else None
        fits = _try(cfg, looked.model, size, usual, arguments.traceback)
    for text in looked.skipped:
        say_lines(f"not looked at: {text}")
    if looked.problems:
        say(f"{len(looked.problems)} problem{'s' if len(looked.problems) != 1 else ''}")
    elif fits:
        say("no problems found")
    return 0 if fits and not looked.problems else 1


def _loaded(config: str, overrides: list[str], arguments: argparse.Namespace) -> Any:
    cfg = load_config(config, overrides, real=True, **loading_options(arguments))
    if not isinstance(cfg, dict) or not cfg:
        raise CommandError(f"{config} holds no config: expected keys such as model, dataloader, train")
    return cfg


@dataclass
class _Looked:
    """What was seen of a config.

    Attributes:
        in_tree: problems of the tree as they were found.
        problems: all problems, as they are told.
        of_run: those of them that a training would stop at.
        notes, skipped: what is worth a line; what was not looked at.
        build: whether the model is to be built.
        model: it, if it was built.
    """

    in_tree: list[Any]
    problems: list[Any]
    of_run: list[Any]
    notes: list[str]
    skipped: list[str]
    build: bool
    model: Any


def _look(cfg: Any, arguments: argparse.Namespace) -> _Looked:
    from lazycfg.config.building.check import examine

    found_in_tree = examine(cfg)
    in_tree = list(found_in_tree.problems)
    build = not in_tree and not arguments.no_build
    looked = _Looked(in_tree, list(in_tree), [], list(found_in_tree.notes), [], build, None)
    if _is_job(cfg):
        from lazycfg.engine.preflight.run import config_problem
        from lazycfg.engine.preflight.without_running import check_job

        looked.problems = list(dict.fromkeys(config_problem(cfg, problem) for problem in in_tree))
        found, parts = check_job(cfg, build=not arguments.no_build, data=arguments.data, sound=not in_tree)
        if arguments.traceback and found.first_error is not None:
            raise found.first_error
        looked.of_run = found.told()
        looked.problems += looked.of_run
        looked.skipped = found.not_looked_at
        looked.model = None if parts is None else parts.model
        looked.notes += found.remarks
    return looked


def _findings(config: str, overrides: list[str], arguments: argparse.Namespace) -> list[Finding]:
    """Return what is wrong with a config, each thing with its place."""
    from lazycfg.cli.findings import of_error, of_path, of_problem

    file = find_config(config)
    try:
        cfg = _loaded(config, overrides, arguments)
    except Exception as error:  # whatever running the file raises
        return [of_error(error, file)]
    looked = _look(cfg, arguments)
    found = [of_problem(problem, file) for problem in looked.in_tree]
    found += [of_path("run", cfg, p.where, p.what, file, p.remedy) for p in looked.of_run]
    if looked.build and dict.get(cfg, "model") is not None:
        error = _tried(cfg, looked.model, input_size(arguments.input_size))[1]
        if error is not None:
            found.append(of_path("build", cfg, _path_of_note(error), error_text(error), file))
    return found


def _is_job(cfg: Any) -> bool:
    """Return whether a config describes a run, and not only a model or a data set."""
    if not isinstance(cfg, dict) or not ("dataloader" in cfg or "optimizer" in cfg):
        return False
    return isinstance(dict.get(cfg, "train"), dict) and dict.get(cfg, "model") is not None


def input_size(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) of ``800x1333``; None for None.

    Raises:
        CommandError: the text is of another form.
    """
    return None if text is None else size_option("--input-size", text, "800x1333 (height x width)")


def _try(
    cfg: Any, model: Any, size: tuple[int, int] | None, usual: tuple[int, int] | None, traceback: bool
) -> bool:
    """Build the model, unless that has been done, run it and print the report; whether its parts fit."""
    from lazycfg.engine.model_summary import USUAL_SIZE

    trial, error = _tried(cfg, model, size, usual)
    if error is not None and traceback:
        raise error
    if trial is not None:
        say_lines(trial_text(trial, width=shutil.get_terminal_size().columns))
        if size is None and usual is None and trial.size == USUAL_SIZE and "dataloader" in cfg:
            say_lines("which sizes dataloader.test gives depends on its data: --input-size HxW takes another")
        for line in _writes(cfg, trial.error):
            say_lines(f"  {line}")
    elif error is not None:
        say_lines(f"the model cannot be built: {error_text(error)}")
    return error is None


def _tried(
    cfg: Any, model: Any, size: tuple[int, int] | None, usual: tuple[int, int] | None = None
) -> tuple[Trial | None, Exception | None]:
    """Build the model, unless that has been done, and run it: the report, and what failed."""
    import torch

    from lazycfg.config.building.build import instantiate
    from lazycfg.config.tree.access import subset
    from lazycfg.engine.model_summary import try_model

    try:
        if model is None:
            with torch.device("meta"):
                model = instantiate(subset(cfg, ["model"]))["model"]
    except Exception as error:  # whatever a part of the user's raises
        return None, error
    if not isinstance(model, torch.nn.Module):
        return None, None
    trial = try_model(model, size, usual=usual)
    return trial, trial.error


def _path_of_note(error: Exception) -> str:
    found = re.search(r"config path '([^']+)'", "\n".join(getattr(error, "__notes__", ())))
    return "" if found is None else found[1]


def _writes(cfg: Any, error: Exception | None) -> Iterator[str]:
    """Yield who changed the node that an error names since it was written, or something above it."""
    from lazycfg.config.signatures.places import writes_along
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.paths import format_path, parse_path
    from lazycfg.config.tree.position import writes_of

    named = "" if error is None else _path_of_note(error)
    if not named:
        return
    path = parse_path(named)
    writes = [
        *writes_along(cfg, path),
        *(((*path, *parse_path(str(w.key))), w) for w in writes_of(get_path(cfg, path))),
    ]
    for place, write in writes:
        yield f"{format_path(place)} set by {write.origin}"


def error_text(error: Exception) -> str:
    """Return an error with its notes, a line each."""
    return "\n".join(
        [f"{type(error).__name__}: {error}", *(f"  {n}" for n in getattr(error, "__notes__", ()))]
    )


def trial_text(trial: Trial, *, width: int = 80) -> str:
    """Return the report of a trial, its table in lines of ``width`` characters where names allow that."""
    whole = trial.parts[0]
    height, image_width = trial.size
    lines = [f"{whole.kind}: {whole.parameters:,} parameters, {whole.trained:,} of them trained", ""]
    labels = part_labels(trial)
    width = max(_NARROWEST, min(width, _WIDEST))
    space = max([len(label) for label in labels], default=0) + 1
    space = min(max(space, len("part ")), _LONGEST_NAME if width == _WIDEST else width // 3)
    title = f"output for one {height}x{image_width} image"
    lines.append(f"{'part':{space}}{'parameters':>13}{'GFLOP':>10}  {title}")
    for part, label in zip(trial.parts[1:], labels, strict=True):
        lines += _rows(part, label, space, width)
    flops, _ = trial.totals()
    lines += ["", f"{1e-9 * flops:,.1f} GFLOP in all (two for a multiplication and an addition)"]
    if any(part.given_boxes for part in trial.parts):
        lines.append("*: run on as many boxes as the model may detect")
    if trial.stopped:
        lines.append(f"shapes are known up to {trial.stopped}: what comes next depends on values")
    if trial.refused is not None:
        reason = "it takes something else than an image (1, 3, height, width)"
        if any(part.returned for part in trial.parts):
            reason = f"it may take images of another size (--input-size) than {height}x{image_width}"
        lines.append(f"{reason}: {error_text(trial.refused)}")
    idle = [part.path for part in trial.parts[1:] if not part.entered and part.parameters]
    if idle and trial.error is None:
        lines.append(f"did not run: {', '.join(idle)}")
    if trial.error is not None:
        lines += ["", f"the parts do not fit: {error_text(trial.error)}"]
    return "\n".join(lines)


def part_labels(trial: Trial) -> list[str]:
    """Return the names of the parts below the model, indented by what they are in."""
    labels: list[str] = []
    above: list[str] = []
    for part in trial.parts[1:]:
        while above and not f"{part.path}.".startswith(f"{above[-1]}."):
            above.pop()
        name = part.path.removeprefix(f"{above[-1]}." if above else "")
        labels.append("  " * len(above) + name + ("*" if part.given_boxes else ""))
        above.append(part.path)
    return labels


def _rows(part: Part, name: str, space: int, width: int) -> list[str]:
    count = f"{part.parameters:,}" if part.parameters else ""
    flops = f"{1e-9 * part.flops:,.1f}" if part.flops else ""
    rows = [] if len(name) < space else [name]
    head = f"{'' if rows else name:{space}}{count:>13}{flops:>10}  "
    unfinished = ["... (last layer)"] if part.outputs and not part.returned else []
    shapes = [f"{key} {'x'.join(map(str, shape)) or 'scalar'}".strip() for key, shape in part.outputs]
    line = head
    for text in [*shapes, *unfinished] or [part.kind]:
        gap = "" if line.endswith("  ") else ", "
        if len(line) + len(gap) + len(text) > width and not line.endswith("  "):
            rows.append(line.rstrip())
            line, gap = " " * len(head), ""
        line += gap + text
    return [*rows, line.rstrip()]
