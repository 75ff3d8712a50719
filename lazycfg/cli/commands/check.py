"""The commands `check` (every problem of a config, then its model tried out without memory) and `drift`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import CommandError, load_config, loading_options, say, split_words

if TYPE_CHECKING:
    from lazycfg.engine.model_summary import Part, Trial

__all__ = ["check", "trial_text"]

_NAME_WIDTH = 34
_WIDTH = 118


def check(arguments: argparse.Namespace) -> int:
    """Find every problem of a config, then build its model without memory and report its size.

    Raises:
        CommandError: the options do not go together.
    """
    from lazycfg.config.building.check import examine

    paths, overrides = split_words(arguments.words)
    if paths:
        raise CommandError(f"not an override: {' '.join(paths)}")
    size = _size(arguments.input_size)
    cfg = load_config(arguments.config, overrides, real=True, **loading_options(arguments))
    if not isinstance(cfg, dict) or not cfg:
        raise CommandError(
            f"{arguments.config} holds no config: expected keys such as model, dataloader, train"
        )
    found_in_tree = examine(cfg)
    problems: list[Any] = list(found_in_tree.problems)
    for note in found_in_tree.notes:
        say(f"note: {note}")
    build = not problems and not arguments.no_build
    skipped: list[str] = []
    model = None
    if _is_job(cfg):
        from lazycfg.engine.preflight.run import config_problem
        from lazycfg.engine.preflight.without_running import check_job

        problems = list(dict.fromkeys(config_problem(cfg, problem) for problem in problems))
        found, parts = check_job(cfg, build=build, data=build and arguments.data)
        if arguments.traceback and found.first_error is not None:
            raise found.first_error
        problems += dict.fromkeys(found.problems)
        skipped = found.not_looked_at
        model = None if parts is None else parts.model
        for remark in found.remarks:
            say(f"note: {remark}")
    for problem in problems:
        say(problem)
    fits = True
    if build and isinstance(cfg, dict) and dict.get(cfg, "model") is not None:
        fits = _try(cfg, model, size, arguments.traceback)
    for text in skipped:
        say(f"not looked at: {text}")
    if problems:
        say(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}")
    elif fits:
        say("no problems found")
    return 0 if fits and not problems else 1


def _is_job(cfg: Any) -> bool:
    """Return whether a config describes a run, and not only a model or a data set."""
    if not isinstance(cfg, dict) or not ("dataloader" in cfg or "optimizer" in cfg):
        return False
    return isinstance(dict.get(cfg, "train"), dict) and dict.get(cfg, "model") is not None


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    try:
        size = int(height), int(width or height)
    except ValueError:
        size = (0, 0)
    if min(size) <= 0:
        raise CommandError(f"--input-size {text!r} is not of the form 800x1333 (height x width)")
    return size


def _try(cfg: Any, model: Any, size: tuple[int, int] | None, traceback: bool) -> bool:
    """Build the model, unless that has been done, and run it; whether its parts fit."""
    import torch

    from lazycfg.config.building.build import instantiate
    from lazycfg.config.tree.access import subset
    from lazycfg.engine.model_summary import try_model

    try:
        if model is None:
            with torch.device("meta"):
                model = instantiate(subset(cfg, ["model"]))["model"]
    except Exception as error:
        if traceback:
            raise
        say(f"the model cannot be built: {_error_text(error)}")
        return False
    if not isinstance(model, torch.nn.Module):
        return True
    trial = try_model(model, size)
    if trial.error is not None and traceback:
        raise trial.error
    say(trial_text(trial))
    for line in _writes(cfg, trial.error):
        say(f"  {line}")
    return trial.error is None


def _writes(cfg: Any, error: Exception | None) -> Iterator[str]:
    """Yield who changed the node that an error names since it was written, or something above it."""
    from lazycfg.config.signatures.places import writes_along
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.paths import format_path, parse_path
    from lazycfg.config.tree.position import writes_of

    found = re.search(r"config path '([^']+)'", "\n".join(getattr(error, "__notes__", ())))
    if found is None:
        return
    path = parse_path(found[1])
    writes = [
        *writes_along(cfg, path),
        *(((*path, *parse_path(str(w.key))), w) for w in writes_of(get_path(cfg, path))),
    ]
    for place, write in writes:
        yield f"{format_path(place)} set by {write.origin}"


def _error_text(error: Exception) -> str:
    return "\n".join(
        [f"{type(error).__name__}: {error}", *(f"  {n}" for n in getattr(error, "__notes__", ()))]
    )


def trial_text(trial: Trial) -> str:
    """Return the report of a trial."""
    whole = trial.parts[0]
    height, width = trial.size
    lines = [f"{whole.kind}: {whole.parameters:,} parameters, {whole.trained:,} of them trained", ""]
    title = f"output for one image of {height}x{width}"
    lines.append(f"{'part':{_NAME_WIDTH}}{'parameters':>13}{'GFLOP':>10}  {title}")
    above: list[str] = []
    for part in trial.parts[1:]:
        while above and not f"{part.path}.".startswith(f"{above[-1]}."):
            above.pop()
        lines += _rows(part, "  " * len(above) + part.path.removeprefix(f"{above[-1]}." if above else ""))
        above.append(part.path)
    ran = sum(part.flops or 0 for part in trial.parts if _is_outermost(part, trial))
    lines += ["", f"{1e-9 * ran:,.1f} GFLOP in all (two for a multiplication and an addition)"]
    if any(part.given_boxes for part in trial.parts):
        lines.append("*: run on as many boxes as the model may detect")
    if trial.stopped:
        lines.append(f"shapes are known up to {trial.stopped}: what comes next depends on values")
    if trial.refused is not None:
        reason = "it takes something else than an image (1, 3, height, width)"
        if any(part.returned for part in trial.parts):
            reason = f"it may take images of another size (--input-size) than {height}x{width}"
        lines.append(f"{reason}: {_error_text(trial.refused)}")
    idle = [part.path for part in trial.parts[1:] if not part.entered and part.parameters]
    if idle and trial.error is None:
        lines.append(f"did not run: {', '.join(idle)}")
    if trial.error is not None:
        lines += ["", f"the parts do not fit: {_error_text(trial.error)}"]
    return "\n".join(lines)


def _is_outermost(part: Part, trial: Trial) -> bool:
    """Return whether a part ran and none that it is in did: so the operations of each are counted once."""
    names = {other.name for other in trial.parts if other.flops is not None}
    above = part.name
    while above:
        above = above.rpartition(".")[0]
        if above in names:
            return False
    return part.name in names


def _rows(part: Part, label: str) -> list[str]:
    name = f"{label}{'*' if part.given_boxes else ''}"
    count = f"{part.parameters:,}" if part.parameters else ""
    flops = f"{1e-9 * part.flops:,.1f}" if part.flops else ""
    head = f"{name:{_NAME_WIDTH}}{count:>13}{flops:>10}  "
    unfinished = ["... (last layer)"] if part.outputs and not part.returned else []
    shapes = [f"{key} {'x'.join(map(str, shape)) or 'scalar'}".strip() for key, shape in part.outputs]
    rows, line = [], head
    for text in [*shapes, *unfinished] or [part.kind]:
        gap = "" if line.endswith("  ") else ", "
        if len(line) + len(gap) + len(text) > _WIDTH and line.strip():
            rows.append(line.rstrip())
            line, gap = " " * len(head), ""
        line += gap + text
    return [*rows, line.rstrip()]
