"""Runs in Weights & Biases."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .base import TrackerWriter

__all__ = ["WandbWriter"]


class WandbWriter(TrackerWriter):
    """Sends scalars, images and the config to Weights & Biases.

    Args:
        project: where the run is listed.
        name: of the run; None is the name of the output folder.
        mode: "online", "offline" (files below the output folder, which ``wandb sync`` sends later), or
            "disabled"; None does what the environment's WANDB_MODE says, else "online".
        window_size: of the median that stands for a loss.
        **options: more arguments of ``wandb.init``, such as entity, group, tags.

    Raises:
        ImportError: wandb is not installed; the message has the line that installs it.
        ValueError: the mode is none of these.
    """

    name = "wandb"

    def __init__(
        self,
        *,
        project: str = "lazycfg",
        name: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        window_size: int = 20,
        **options: Any,
    ) -> None:
        super().__init__(window_size=window_size)
        try:
            import wandb  # noqa: F401
        except ImportError as error:
            raise ImportError("WandbWriter needs wandb: pip install 'lazycfg[wandb]'") from error
        if mode not in (None, "online", "offline", "disabled"):
            raise ValueError(f"WandbWriter: mode={mode!r}: expected 'online', 'offline', 'disabled' or None")
        self._options = {"project": project, "mode": mode, **options}
        self._run_name = name
        self._run: Any = None

    def open_run(self, output_dir: Path, config: Mapping[str, Any], run_id: str | None) -> str:
        """Open a run with the config, and return its id."""
        import wandb

        options = {
            "dir": os.fspath(output_dir),
            "name": self._run_name or output_dir.resolve().name,
            "settings": wandb.Settings(console="off"),
            "id": run_id or secrets.token_hex(4),
            "resume": "allow",
        }
        self._run = wandb.init(**{**options, **self._options}, config=dict(config))
        # A resumed run does some iterations again, which W&B's own count of steps would refuse
        self._run.define_metric("iteration", hidden=True)
        self._run.define_metric("*", step_metric="iteration")
        return str(self._run.id)

    def log_scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Record numbers of one iteration."""
        self._run.log({**values, "iteration": iteration})

    def log_image(self, name: str, image: np.ndarray, iteration: int) -> None:
        """Record an image, (H, W, 3) uint8 RGB."""
        import wandb

        self._run.log({name: wandb.Image(image), "iteration": iteration})

    def close_run(self) -> None:
        """Let W&B finish."""
        self._run.finish()
