"""What the writers for trackers of experiments have in common, and the choice of writers by name."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.flat import to_flat
from lazycfg.utils import EventStorage, atomic_write, closest

from ..build import Parts
from ..problems import PreflightError, Problem
from ..settings import SettingsError, TrainSettings
from ..writers import EventWriter, TensorboardWriter

__all__ = ["TrackerWriter", "asked_writers", "flat_config", "make_writers"]

logger = logging.getLogger(__name__)

_IDS = "trackers.json"


class TrackerWriter(EventWriter):
    """Base of writers for experiment trackers: the same tracker run continues when a training is resumed.

    A subclass says how a run is opened, what is done with scalars and images, and how it is closed. What the
    tracker raises while the training runs is told once as a warning, and the training goes on.

    Args:
        window_size: of the median that stands for a loss.
    """

    name = ""
    """Of the tracker."""

    def __init__(self, *, window_size: int = 20) -> None:
        self._window_size = window_size
        self._written: dict[str, int] = {}
        self._start_iter = 0
        self._failed = False
        self._is_open = False

    def start(self, storage: EventStorage, start_iter: int, max_iter: int) -> None:
        """Note what a resumed run has written before."""
        self._start_iter = start_iter
        latest, smoothed = storage.latest(), storage.smoothing_hints()
        self._written = {name: at for name, (_, at) in latest.items() if smoothed.get(name, True)}

    def begin(self, output_dir: Path, config: Mapping[str, Any]) -> None:
        """Open the run of this folder in the tracker: the one before where the training is resumed.

        Raises:
            SettingsError: the tracker does not open one; nothing has been trained yet.
        """
        ids = _read_ids(output_dir)
        before = ids.get(self.name) if self._start_iter else None
        try:
            run_id = self.open_run(output_dir, config, before)
        except Exception as error:  # no server, no key, a wrong argument
            told = f"train.writers: {self.name} opens no run: {type(error).__name__}: {error}"
            raise SettingsError(told) from error
        self._is_open = True
        with atomic_write(output_dir / _IDS) as partial:
            partial.write_text(json.dumps({**ids, self.name: run_id}, indent=1) + "\n")

    def write(self, storage: EventStorage) -> None:
        """Pass on the scalars and images that are new."""
        if not self._is_open or self._failed:
            return
        by_iteration: dict[int, dict[str, float]] = {}
        for name, (value, iteration) in storage.latest_with_smoothing_hint(self._window_size).items():
            if iteration > self._written.get(name, -1):
                self._written[name] = iteration
                if math.isfinite(value):  # most trackers know no other numbers
                    by_iteration.setdefault(iteration, {})[name] = value
        try:
            for iteration in sorted(by_iteration):
                self.log_scalars(by_iteration[iteration], iteration)
            for name, image, iteration in storage.images():
                self.log_image(name, _as_uint8(image), iteration)
        except Exception as error:  # the training is worth more
            self._failed = True
            logger.warning("%s takes no more values of this run, which goes on: %s", self.name, error)

    def close(self) -> None:
        """Close the run."""
        if self._is_open:
            self._is_open = False
            try:
                self.close_run()
            except Exception as error:
                logger.warning("%s: the run could not be closed: %s", self.name, error)

    # What a subclass has to say

    def open_run(self, output_dir: Path, config: Mapping[str, Any], run_id: str | None) -> str:
        """Open a run and give it the config; return its id.

        Args:
            output_dir: folder of the training.
            config: as `lazycfg.config.formats.flat.to_flat` gives it.
            run_id: of the run to go on with; None begins another one.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def log_scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Record finite numbers of one iteration.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def log_image(self, name: str, image: np.ndarray, iteration: int) -> None:
        """Record an image, (H, W, 3) uint8, RGB."""

    def close_run(self) -> None:
        """Let the tracker write what it has buffered."""


def _read_ids(output_dir: Path) -> dict[str, Any]:
    try:
        found = json.loads((output_dir / _IDS).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_uint8(image: torch.Tensor) -> np.ndarray:
    image = image.permute(1, 2, 0).cpu()
    scaled = image if image.dtype == torch.uint8 else (image.float().clamp(0, 1) * 255).round().byte()
    return scaled.numpy()


def asked_writers(parts: Parts, settings: TrainSettings) -> list[Any]:
    """Return what ``train.writers`` and ``train.tensorboard`` ask for, nothing twice."""
    asked = [parts.writers] if isinstance(parts.writers, str) else list(parts.writers or ())
    return [*(["tensorboard"] if settings.tensorboard and "tensorboard" not in asked else []), *asked]


def flat_config(cfg: Any) -> dict[str, Any]:
    """Return a config for `EventWriter.begin`; {}, and a warning, where it cannot be kept."""
    try:
        return to_flat(cfg)
    except ConfigError as error:
        logger.warning("the config is not given to train.writers (the run goes on): %s", error)
        return {}


def make_writers(asked: Sequence[Any], output_dir: str | Path, *, log_period: int) -> list[EventWriter]:
    """Return the writers that ``train.writers`` asks for: names, and writers that were built already.

    Raises:
        PreflightError: all names that are not known, what is no writer, and packages that are missing.
    """
    from .mlflow import MLflowWriter
    from .trackio import TrackioWriter
    from .wandb import WandbWriter

    known = {
        "tensorboard": lambda: TensorboardWriter(output_dir, window_size=log_period),
        "wandb": lambda: WandbWriter(window_size=log_period),
        "mlflow": lambda: MLflowWriter(window_size=log_period),
        "trackio": lambda: TrackioWriter(window_size=log_period),
    }
    writers: list[EventWriter] = []
    problems = []
    for number, each in enumerate(asked):
        where = f"train.writers.{number}"
        if isinstance(each, EventWriter):
            writers.append(each)
        elif isinstance(each, str) and each in known:
            try:
                writers.append(known[each]())
            except ImportError as error:
                problems.append(Problem(where, str(error)))
        else:
            near = closest(each, known) if isinstance(each, str) else ""
            said = f"{each!r} is no writer: expected one of {', '.join(known)}, or an EventWriter{near}"
            problems.append(Problem(where, said))
    if problems:
        raise PreflightError(problems)
    return writers
