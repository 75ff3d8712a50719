"""The settings of a training run: what ``cfg.train`` may hold."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch

from lazycfg.utils import closest

from .problems import PreflightError, Problem, SettingsError

__all__ = ["AmpSettings", "CheckpointSettings", "SettingsError", "TrainSettings"]


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
        """Return the settings that a config has under ``path``.

        Raises:
            PreflightError: all that is wrong with them: unknown keys, and values that make no sense.
        """
        if isinstance(values, cls):
            return values
        if not isinstance(values, Mapping):
            first = fields(cls)[0].name  # type: ignore[arg-type]
            remedy = f"{path}.{first}={_typed(values)}" if isinstance(values, bool | int) else ""
            raise PreflightError([Problem(path, f"{values!r}: expected a dict of settings", remedy)])
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        problems = [
            Problem(
                f"{path}.{key}",
                f"unknown setting {path}.{key}{closest(key, known)} (known: {', '.join(known)}). Values of "
                "your own, for interpolation, go to another name at the top of the config",
            )
            for key in values
            if key not in known
        ]
        try:
            result = cls(**{key: value for key, value in values.items() if key in known})
        except PreflightError as error:
            raise PreflightError([*problems, *error.problems]) from None
        if problems:
            raise PreflightError(problems)
        return result


def _typed(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _number_problem(path: str, value: Any, least: int, *, or_none: bool = False) -> Problem | None:
    if (or_none and value is None) or (type(value) is int and value >= least):
        return None
    whole = isinstance(value, float) and value.is_integer() and value >= least
    expected = f"expected a whole number of at least {least}{' or None' if or_none else ''}"
    return Problem(path, f"{path}={value!r}: {expected}", f"{path}={int(value)}" if whole else "")


def _type_problem(path: str, value: Any, kinds: tuple[type, ...], expected: str) -> Problem | None:
    fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    return None if fits else Problem(path, f"{path}={value!r}: expected {expected}")


@dataclass(frozen=True, kw_only=True)
class AmpSettings(_FromMapping):
    """Automatic mixed precision."""

    enabled: bool = False
    dtype: str | torch.dtype = "bfloat16"
    """``"bfloat16"`` or ``"float16"``. The latter scales gradients, which costs a sync in every step."""

    def __post_init__(self) -> None:
        problems = [_type_problem("train.amp.enabled", self.enabled, (bool,), "true or false")]
        if not isinstance(self.dtype, torch.dtype) and self.dtype not in _DTYPES:
            near = closest(self.dtype, _DTYPES) if isinstance(self.dtype, str) else ""
            expected = f"expected 'bfloat16' or 'float16'{near}"
            problems.append(Problem("train.amp.dtype", f"train.amp.dtype={self.dtype!r}: {expected}"))
        elif self._type() not in (torch.bfloat16, torch.float16):
            expected = "expected 'bfloat16' or 'float16'"
            problems.append(Problem("train.amp.dtype", f"train.amp.dtype={self.dtype!r}: {expected}"))
        _raise(problems)

    def _type(self) -> torch.dtype:
        return self.dtype if isinstance(self.dtype, torch.dtype) else _DTYPES[self.dtype]

    def autocast_dtype(self) -> torch.dtype | None:
        """Return the type to run under, None when disabled."""
        return self._type() if self.enabled else None


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings(_FromMapping):
    """Checkpoints to resume from."""

    period: int = 5000
    max_to_keep: int | None = 10

    def __post_init__(self) -> None:
        path = "train.checkpointer"
        _raise(
            [
                _number_problem(f"{path}.period", self.period, 0),
                _number_problem(f"{path}.max_to_keep", self.max_to_keep, 1, or_none=True),
            ]
        )


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "device": ((str,), "a text: auto, cpu, cuda, cuda:1, mps"),
    "seed": ((int, type(None)), "a whole number, or None for another one in every run"),
    "dist_timeout_minutes": ((int, float), "a number of minutes"),
    "channels_last": ((bool,), "true or false"),
    "tensorboard": ((bool,), "true or false"),
    "progress_bar": ((bool,), "true or false"),
    "preflight": ((bool,), "true or false"),
    "extra_classes": ((bool,), "true or false"),
    "best_metric": ((str,), 'the name of an evaluation result, such as bbox/AP, or ""'),
    "init_ignore": ((Sequence,), "a list of patterns"),
    "hooks": ((Sequence,), "a list of hooks"),
    "writers": ((Sequence,), "a list of writers, or of their names"),
}
_DEVICES = ("cpu", "cuda", "mps", "xpu")
# The arguments of `create_ddp_model`
_DDP = ("broadcast_buffers", "find_unused_parameters", "fp16_compression", "static_graph")


def _device_problem(name: Any) -> Problem | None:
    if name == "auto" or not isinstance(name, str):
        return None
    remedy = ""
    try:
        if torch.device(name).type in _DEVICES:
            return None
    except RuntimeError:
        remedy = "train.device=cuda" if name.startswith("gpu") else ""
    known = ", ".join(("auto", *_DEVICES))
    return Problem(
        "train.device", f"train.device={name!r}: nothing is trained there (known: {known})", remedy
    )


def _raise(problems: Iterable[Problem | None]) -> None:
    found = [problem for problem in problems if problem is not None]
    if found:
        raise PreflightError(found)


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
    progress_bar: bool = True
    tensorboard: bool = False
    preflight: bool = True
    extra_classes: bool = False
    pictures: int = 8
    font: str | None = None
    hooks: Sequence[Any] = ()
    writers: Sequence[Any] = ()

    def __post_init__(self) -> None:
        problems: list[Problem | None] = []
        for name, kind in (("amp", AmpSettings), ("checkpointer", CheckpointSettings)):
            try:
                object.__setattr__(self, name, kind.of(getattr(self, name), f"train.{name}"))
            except PreflightError as error:
                problems += error.problems
        lowest = {"max_iter": 1, "accumulate": 1, "log_period": 1, "eval_period": 0, "pictures": 0}
        problems += [
            _number_problem(f"train.{name}", getattr(self, name), least) for name, least in lowest.items()
        ]
        problems += [
            _type_problem(f"train.{name}", getattr(self, name), kinds, expected)
            for name, (kinds, expected) in _TYPES.items()
        ]
        problems += [_device_problem(self.device), *self._texts(), *self._mappings()]
        _raise(problems)

    def _texts(self) -> list[Problem | None]:
        problems: list[Problem | None] = []
        for name in ("output_dir", "init_checkpoint", "font"):
            value = getattr(self, name)
            if isinstance(value, str | os.PathLike) or (name == "font" and value is None):
                continue
            remedy = f"train.{name}=./{value}" if isinstance(value, int | float) else ""
            problems.append(Problem(f"train.{name}", f"train.{name}={value!r}: expected a path", remedy))
        if not str(self.output_dir):
            said = "train.output_dir is empty: it is where checkpoints, metrics and images go"
            problems.append(Problem("train.output_dir", said, "train.output_dir=./output"))
        patterns = self.init_ignore
        if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns or ()):
            remedy = f"'train.init_ignore=[\"{patterns}\"]'" if isinstance(patterns, str) else ""
            said = f"train.init_ignore={patterns!r}: expected a list of patterns"
            problems.append(Problem("train.init_ignore", said, remedy))
        return problems

    def _mappings(self) -> list[Problem | None]:
        if not isinstance(self.ddp, Mapping):
            return [Problem("train.ddp", f"train.ddp={self.ddp!r}: expected a dict of arguments")]
        return [
            Problem(
                f"train.ddp.{key}", f"unknown argument{closest(str(key), _DDP)} (known: {', '.join(_DDP)})"
            )
            for key in self.ddp
            if key not in _DDP
        ]
