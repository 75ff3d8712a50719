"""The settings of a training run: what ``cfg.train`` may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch

from lazycfg.utils import closest

__all__ = ["AmpSettings", "CheckpointSettings", "SettingsError", "TrainSettings"]


class SettingsError(ValueError):
    """A config that does not describe the job asked for; the message is for who wrote it."""


_DTYPES = {
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
    "half": torch.float16,
}


class _FromMapping:
    """Building from a dict, with errors that know the nearest right key."""

    @classmethod
    def of(cls, values: Mapping[str, Any] | Self, path: str = "train") -> Self:
        """From what a config has under ``path``.

        Raises:
            SettingsError: an unknown key, or a value that makes no sense.
        """
        if isinstance(values, cls):
            return values
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        unknown = [key for key in values if key not in known]
        if unknown:
            told = "; ".join(f"{path}.{key}{closest(key, known)}" for key in unknown)
            raise SettingsError(
                f"unknown setting {told} (known: {', '.join(known)}). Values of your own, for interpolation, "
                "go to another name at the top of the config"
            )
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class AmpSettings(_FromMapping):
    """Automatic mixed precision."""

    enabled: bool = False
    dtype: str | torch.dtype = "bfloat16"
    """``"bfloat16"`` or ``"float16"``. The latter scales gradients, which costs a sync in every step."""

    def autocast_dtype(self) -> torch.dtype | None:
        """The type to run under, None when disabled.

        Raises:
            SettingsError: a type that autocast does not know.
        """
        if not self.enabled:
            return None
        dtype = self.dtype if isinstance(self.dtype, torch.dtype) else _DTYPES.get(self.dtype)
        if dtype not in (torch.bfloat16, torch.float16):
            raise SettingsError(f"train.amp.dtype={self.dtype!r}: expected 'bfloat16' or 'float16'")
        return dtype


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings(_FromMapping):
    """Checkpoints to resume from."""

    period: int = 5000
    max_to_keep: int | None = 10


@dataclass(frozen=True, kw_only=True)
class TrainSettings(_FromMapping):
    """What ``cfg.train`` may hold, with the defaults of what it leaves out."""

    output_dir: str = "./output"
    init_checkpoint: str = ""
    init_ignore: Sequence[str] = ()
    max_iter: int = 90000
    device: str = "auto"
    seed: int | None = 42
    amp: AmpSettings = field(default_factory=AmpSettings)
    ddp: Mapping[str, Any] = field(default_factory=dict)
    dist_timeout_minutes: float = 30
    channels_last: bool = False
    cudnn_benchmark: bool = False
    accumulate: int = 1
    clip_grad: Any = None
    checkpointer: CheckpointSettings = field(default_factory=CheckpointSettings)
    eval_period: int = 5000
    best_metric: str = ""
    log_period: int = 20
    tensorboard: bool = False
    pictures: int = 8
    hooks: Sequence[Any] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "amp", AmpSettings.of(self.amp, "train.amp"))
        checkpointer = CheckpointSettings.of(self.checkpointer, "train.checkpointer")
        object.__setattr__(self, "checkpointer", checkpointer)
        lowest = {"max_iter": 1, "accumulate": 1, "log_period": 1, "eval_period": 0, "pictures": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise SettingsError(f"train.{name}={value!r}: expected a whole number of at least {least}")
        if not self.output_dir:
            raise SettingsError("train.output_dir is empty: it is where checkpoints, metrics and pictures go")
        self.amp.autocast_dtype()
