"""The commands `train` and `eval`, and what `tools/train_net.py` runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.cli.common import (
    CommandError,
    file_loader,
    find_config,
    load_config,
    loading_options,
    message_of,
    say,
)
from lazycfg.cli.models import check_weights_of_model

__all__ = ["evaluate", "run_job", "train"]


def train(arguments: argparse.Namespace) -> int:
    """Train what a config describes; with ``--eval-only``, evaluate it."""
    return run_job(
        arguments.config,
        arguments.words,
        eval_only=arguments.eval_only,
        resume=arguments.resume,
        traceback=arguments.traceback,
        **loading_options(arguments),
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate the weights that are given, those of the run whose folder is given, or the config's."""
    weights = arguments.weights
    if weights is not None and arguments.resume:
        raise CommandError("--weights and --resume both say which weights: give one of them")
    return run_job(
        arguments.config,
        arguments.words,
        eval_only=True,
        resume=arguments.resume,
        weights=weights,
        fuse=arguments.fuse,
        traceback=arguments.traceback,
        **loading_options(arguments),
    )


def run_job(
    config: str,
    overrides: Sequence[str],
    *,
    eval_only: bool = False,
    resume: bool = False,
    weights: str | None = None,
    fuse: bool = False,
    traceback: bool = False,
    **loading: Any,
) -> int:
    """Train or evaluate what a config describes, and return the exit status.

    What is wrong with the command, the config or the data is printed once for all processes.

    Args:
        config: a file, the name of one in the model zoo, or the folder of a run.
        overrides: texts such as ``"train.max_iter=10"``.
        eval_only: evaluate and stop.
        resume: go on from the last checkpoint of the run; to evaluate, take its weights.
        weights: what to evaluate, a file or a name; None takes those of the run whose folder ``config`` is,
            else ``train.init_checkpoint``.
        fuse: fold batch normalizations into convolutions for an evaluation.
        traceback: raise errors instead of printing them.
        **loading: for `load_config`.
    """
    from lazycfg.config.errors import ConfigError

    try:
        file = find_config(config)
        cfg = load_config(file, overrides, real=True, **loading)
    except (CommandError, ConfigError, OSError) as error:
        return _complain(error, traceback)

    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, WeightsMismatchError
    from lazycfg.engine import SettingsError
    from lazycfg.engine import evaluate as evaluate_config
    from lazycfg.engine import train as train_config
    from lazycfg.engine.run_dir import final_weights

    wrong_weights = (WeightsMismatchError, UnsafeFileError, CheckpointError)
    try:
        if (resume or eval_only) and not any("train.output_dir=" in override for override in overrides):
            _check_not_moved(file, cfg)
        if eval_only:
            if weights is None and not resume and os.path.isdir(config):
                weights = os.fspath(final_weights(config))
            elif weights is None and not resume:
                check_weights_of_model(cfg, config, "eval")
            evaluate_config(cfg, resume=resume, weights=weights, fuse=fuse)
        else:
            train_config(cfg, resume=resume, load_file=file_loader(**loading))
    except (CommandError, ConfigError, SettingsError, *wrong_weights, OSError, FloatingPointError) as error:
        return _complain(error, traceback)
    except Exception as error:
        if not _is_of_data(error):
            raise
        return _complain(error, traceback)
    except KeyboardInterrupt as error:
        say(f"interrupted{f': {error}' if str(error) else ''}", file=sys.stderr)
        return 130
    return 0


def _complain(error: Exception, traceback: bool) -> int:
    if traceback:
        raise error
    if os.environ.get("RANK", "0") == "0":
        say("\n".join(["error: " + message_of(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
    return 2


def _check_not_moved(config_file: str, cfg: Any) -> None:
    """Refuse to pass by the run that the config lies in, if `train.output_dir` names another folder."""
    from lazycfg.engine import SettingsError

    here, named = Path(config_file).parent, (cfg.get("train") or {}).get("output_dir")
    if not named or not (here / "last_checkpoint").exists():
        return
    if here.resolve() != Path(str(named)).resolve():
        raise SettingsError(
            f"{config_file} lies in the folder of a run, and its train.output_dir is another, {named} (seen "
            f"from {os.getcwd()}): was the folder moved? Say which is meant: train.output_dir={here} or "
            f"train.output_dir={named}"
        )


def _is_of_data(error: Exception) -> bool:
    """Return whether an error came from a record of a data set, which its message or a note names."""
    from lazycfg.data import AnnotationError, ImageError

    notes = getattr(error, "__notes__", ())
    return isinstance(error, AnnotationError | ImageError) or any("while mapping" in note for note in notes)
