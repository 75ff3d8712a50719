"""The command `weights`: from the names of one library to those of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lazycfg.cli.common import CommandError, load_config, say, split_words

__all__ = ["weights"]


def weights(arguments: argparse.Namespace) -> int:
    """Convert a file of weights, print what went where, and write the result.

    Returns:
        1 if anything of the file is left, or does not fit the model of ``--config``; nothing is written then.

    Raises:
        CommandError: the file cannot be read or converted, and why.
    """
    others, overrides = split_words(arguments.words)
    if others or (overrides and not arguments.config):
        raise CommandError(f"weights takes one file, and overrides with --config; got {arguments.words[0]!r}")
    if arguments.config and arguments.to == "torchvision":
        raise CommandError("--config is a config of lazycfg, whose names are not torchvision's: leave it out")
    if arguments.output and Path(arguments.output).exists():
        raise CommandError(f"{arguments.output} is there already")
    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, convert_weights, save_converted

    try:
        conversion = convert_weights(
            arguments.path,
            origin=arguments.origin,
            target=arguments.to,
            classes=arguments.classes,
            strip=arguments.strip,
        )
        _say_lines(conversion)
        whole = not conversion.left
        if arguments.config:
            conversion, fits = _for_model(conversion, arguments.config, overrides)
            whole = whole and fits
        if whole and arguments.output:
            save_converted(conversion, arguments.output)
    except (CheckpointError, UnsafeFileError) as error:
        raise CommandError(str(error)) from error
    if not arguments.output:
        return 0 if whole else 1
    say(f"wrote {arguments.output}" if whole else f"{arguments.output} was not written")
    return 0 if whole else 1


def _say_lines(what: object) -> None:
    """Print what has several lines."""
    for line in str(what).splitlines():
        say(line)


def _for_model(conversion: Any, config: str, overrides: list[str]) -> tuple[Any, bool]:
    """Return the conversion by the names of a config's model, and whether it fits that."""
    import dataclasses

    import torch

    from lazycfg.checkpoint import WeightsMismatchError, load_weights
    from lazycfg.config import instantiate

    cfg = load_config(config, overrides, real=True)
    if "model" not in cfg:
        raise CommandError(f"{config} has no model")
    with torch.device("meta"):
        model = instantiate(cfg.model)
    try:
        report = load_weights(model, conversion.state, strict=False)
    except WeightsMismatchError as error:
        _say_lines(error)
        return conversion, False
    _say_lines(report)
    state = model.state_dict()
    kept = {key: state[key] for key in (*report.loaded, *report.folded)}
    return dataclasses.replace(conversion, state=kept), not report.problems
