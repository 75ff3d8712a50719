"""The command `analyze`: what the model of a config costs, part by part, without memory and weights."""

from __future__ import annotations

import argparse
import shutil
from typing import TYPE_CHECKING, Any

from lazycfg.cli.commands.check import error_text, input_size, part_labels
from lazycfg.cli.common import CommandError, load_config, loading_options, say, say_lines

if TYPE_CHECKING:
    from lazycfg.engine.model_summary import Trial

__all__ = ["analyze"]


def analyze(arguments: argparse.Namespace) -> int:
    """Print parameters, operations and activations; the exit status is 1 if the parts do not fit.

    Raises:
        CommandError: the config has no model, it cannot be built, or the depth is none.
    """
    import torch

    from lazycfg.config.building.build import instantiate
    from lazycfg.config.tree.access import subset
    from lazycfg.engine.model_summary import try_model
    from lazycfg.utils.analysis import parameter_count_table

    if arguments.depth is not None and arguments.depth < 0:
        raise CommandError(f"--depth is 0 or more, not {arguments.depth}")
    size = input_size(arguments.input_size)
    cfg = load_config(arguments.config, arguments.words, real=True, **loading_options(arguments))
    if not isinstance(cfg, dict) or dict.get(cfg, "model") is None:
        raise CommandError(f"{arguments.config} has no model")
    try:
        with torch.device("meta"):
            model: Any = instantiate(subset(cfg, ["model"]))["model"]
    except Exception as error:  # whatever the parts of a model raise
        if arguments.traceback:
            raise
        raise CommandError(f"the model cannot be built: {error_text(error)}") from error
    if not isinstance(model, torch.nn.Module):
        raise CommandError(f"model builds a {type(model).__name__}, not a torch.nn.Module")
    trial = try_model(model, size)
    if trial.error is not None and arguments.traceback:
        raise trial.error
    say_lines(analysis_text(trial, arguments.depth, shutil.get_terminal_size().columns))
    if arguments.parameters:
        depth = 3 if arguments.depth is None else arguments.depth
        say(f"\n{parameter_count_table(model, max_depth=depth)}")
    if arguments.structure:
        say(f"\n{model}")
    return 0 if trial.error is None else 1


def analysis_text(trial: Trial, depth: int | None = None, width: int = 80) -> str:
    """Return the table of a trial.

    Args:
        trial: what was found.
        depth: how many levels of parts to show; None for all that the config names.
        width: characters of a line.
    """
    whole = trial.parts[0]
    labels = ["model", *(f"  {label}" for label in part_labels(trial))]
    space = min(max(map(len, labels)), max(20, width - 51))
    head = f"{'part':{space}}{'parameters':>14}{'trained':>14}{'GFLOP':>10}{'M activ.':>11}"
    lines = [f"{whole.kind}, one image of {trial.size[0]}x{trial.size[1]} (height x width)", "", head]
    flops, activations = trial.totals()
    for label, part in zip(labels, trial.parts, strict=True):
        if depth is not None and (len(label) - len(label.lstrip())) // 2 > depth:
            continue
        counts = (flops, activations) if part is whole else (part.flops, part.activations)
        numbers = f"{part.parameters:>14,}" if part.parameters else " " * 14
        numbers += f"{part.trained:>14,}" if part.trained else " " * 14
        numbers += f"{1e-9 * counts[0]:>10,.2f}" if counts[0] else " " * 10
        numbers += f"{1e-6 * counts[1]:>11,.2f}" if counts[1] else ""
        if len(label) > space:
            lines.append(label)
            label = ""
        lines.append(f"{label:{space}}{numbers}".rstrip())
    lines += [
        "",
        "FLOP: two for a multiplication with an addition",
        "activations: numbers that convolutions and matrix products return",
    ]
    if any(part.given_boxes for part in trial.parts):
        lines.append("*: run on as many boxes as the model may detect")
    idle = [part.path for part in trial.parts[1:] if not part.entered and part.parameters]
    if idle and trial.error is None:
        lines.append(f"did not run: {', '.join(idle)}")
    if trial.refused is not None:
        lines.append(f"it may take images of another size (--input-size): {error_text(trial.refused)}")
    if trial.error is not None:
        lines += ["", f"the parts do not fit: {error_text(trial.error)}"]
    return "\n".join(lines)
