"""A model that is named on the command line, with its trained weights."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import CommandError, find_config, load_config, loading_options, zoo_folder

if TYPE_CHECKING:
    from lazycfg.engine import Predictor

__all__ = ["check_weights_of_model", "load_predictor"]

# Names of weights of a backbone, trained to classify images
_OF_BACKBONE = re.compile(r"detectron2://ImageNetPretrained/|timm://|(torchvision://)?\w+_Weights\.IMAGENET")


def load_predictor(arguments: argparse.Namespace, overrides: list[str], **options: Any) -> Predictor:
    """Return the predictor of the folder of a run, of a config and weights, of the model zoo, or of the
    Hugging Face Hub.

    Args:
        arguments: of the command, with ``config``, ``weights`` and the options of loading.
        overrides: texts such as ``"model.roi_heads.box_predictor.test_score_thresh=0.3"``.
        **options: for `Predictor`.

    Raises:
        CommandError: there is no such config, or no weights are known for it.
        CheckpointError, WeightsMismatchError: the weights cannot be had, or do not fit.
    """
    from lazycfg import model_zoo
    from lazycfg.checkpoint import published_url
    from lazycfg.engine import Predictor

    name, weights, metadata = arguments.config, arguments.weights, None
    if name.lower().endswith((".pth", ".pkl", ".pt", ".safetensors")) and os.path.isfile(name):
        raise CommandError(f"{name} is a file of weights: give the config first, and --weights {name}")
    if name.startswith("hf://"):
        from lazycfg.engine.hub import CONFIG, WEIGHTS, pull_from_hub

        folder = pull_from_hub(name)
        name, weights = os.fspath(folder / CONFIG), weights or os.fspath(folder / WEIGHTS)
    file = find_config(name)
    cfg = load_config(file, overrides, real=True, **loading_options(arguments))
    if weights is None and os.path.isdir(name):
        weights = os.fspath(_weights_in(Path(name)))
    zoo = os.fspath(zoo_folder())
    if os.path.abspath(file).startswith(os.path.join(zoo, "")):
        in_zoo = os.path.relpath(file, zoo)
        metadata = model_zoo.get_metadata(in_zoo)
        published = in_zoo.removesuffix(".py")
        if weights is None and published_url(published) is not None:
            weights = published
    if weights is None:
        check_weights_of_model(cfg, name, arguments.run_by.rpartition(".")[2])
    return Predictor.from_config(cfg, weights=weights, metadata=metadata, **options)


def _weights_in(folder: Path) -> Path:
    """Return the weights in the folder of a run, or in one that `lazycfg push --to` or `pull` wrote.

    Raises:
        CheckpointError: there are none.
    """
    from lazycfg.checkpoint import MissingCheckpointError
    from lazycfg.engine.hub import WEIGHTS
    from lazycfg.engine.run_dir import final_weights

    try:
        return final_weights(folder)
    except MissingCheckpointError:
        if not (folder / WEIGHTS).is_file():
            raise
        return folder / WEIGHTS


def check_weights_of_model(cfg: Any, config: str, command: str) -> None:
    """Raise if a config names no weights of a whole model, with the folder of its run if there is one.

    Args:
        cfg: the config.
        config: as it was typed.
        command: its name, for the message.

    Raises:
        CommandError: ``train.init_checkpoint`` is empty, or names weights of a backbone.
    """
    from lazycfg.checkpoint import CheckpointError

    settings = cfg.get("train")
    settings = settings if isinstance(settings, Mapping) else {}
    named, folder = settings.get("init_checkpoint"), settings.get("output_dir")
    if settings.get("init_ignore") or (named and not _OF_BACKBONE.match(str(named))):
        return
    said = f"{config} names no weights of a whole model"
    if named:
        said += f" ({named} is of its backbone)"
    try:
        _weights_in(Path(folder or ""))
    except (CheckpointError, OSError, TypeError):
        if not named and command == "eval":  # which says so itself
            return
        raise CommandError(f"{said}: give the folder of its run, or --weights FILE") from None
    folder = os.path.normpath(folder)
    raise CommandError(f"{said}: give the folder of its run, lazycfg {command} {folder}, or --weights FILE")
