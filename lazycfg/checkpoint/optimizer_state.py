"""The state of an optimizer in a checkpoint: whose it is, and what its options were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lazycfg.checkpoint.errors import CheckpointError
from lazycfg.checkpoint.loading import unwrap
from lazycfg.checkpoint.placement import plain_key

__all__ = ["OptimizerState"]

logger = logging.getLogger(__name__)

# Options that add something to the state of each parameter, which a checkpoint without it does not have
_NEED_STATE = ("amsgrad", "centered")
# Of these optimizers of torch the state of a parameter has other shapes than the parameter
_OTHER_SHAPES = ("Adafactor", "LBFGS")


class OptimizerState:
    """The state of an optimizer, as it is saved and resumed.

    Resuming checks that the state belongs to this optimizer and to these parameters. Options that differ from
    those that the run was started with (a learning rate, a weight decay) are obeyed, and the log says so;
    options that only the training itself has changed come back as they were.

    Args:
        optimizer: as it was built, before any step.
        model: whose parameters it has; gives them their names.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module) -> None:
        self.optimizer = optimizer
        names = {id(parameter): plain_key(name) for name, parameter in unwrap(model).named_parameters()}
        groups = optimizer.param_groups
        self._names = [[names.get(id(parameter), "") for parameter in group["params"]] for group in groups]
        self._options = [_options(group) for group in groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state, with its class, the names of its parameters and its options."""
        about = {"class": type(self.optimizer).__qualname__, "names": self._names, "options": self._options}
        return {**self.optimizer.state_dict(), "about": about}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore a state.

        Raises:
            CheckpointError: it is of another optimizer, of other groups or of other parameters.
        """
        about = saved.get("about") or {}
        self._check_class(about, saved)
        self._check_groups(about, saved)
        self._check_shapes(saved)
        before = about.get("options") or [_options(group) for group in saved["param_groups"]]
        groups = [dict(group) for group in saved["param_groups"]]
        changes: dict[str, list[str]] = {}
        for group, old, new in zip(groups, before, self._options, strict=True):
            for option, change in self._obey(group, old, new).items():
                changes.setdefault(option, []).append(change)
        for option, told in changes.items():
            where = f" (in {len(told)} of {len(groups)} groups)" if len(groups) > 1 else ""
            logger.warning(
                "resuming with another %s, as the config says: %s%s",
                option,
                " or ".join(dict.fromkeys(told)),
                where,
            )
        self.optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})

    def _check_class(self, about: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
        mine = type(self.optimizer).__qualname__
        theirs = about.get("class")
        if theirs is None:  # saved by an older version: the options tell
            options = set().union(*map(_options, saved["param_groups"])) if saved["param_groups"] else set()
            if unknown := options - set().union(*self._options):
                raise CheckpointError(
                    f"the checkpoint is of another optimizer than {mine}: it has {', '.join(sorted(unknown))}"
                )
        elif theirs != mine:
            raise CheckpointError(f"the checkpoint has the state of {theirs}, the config has {mine}")

    def _check_groups(self, about: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
        sizes = [len(group["params"]) for group in saved["param_groups"]]
        mine = [len(names) for names in self._names]
        if sizes != mine:
            raise CheckpointError(
                f"the checkpoint's optimizer has {_described(sizes)}, this run's has {_described(mine)}"
            )
        for number, (theirs, names) in enumerate(zip(about.get("names", []), self._names, strict=False)):
            for old, new in zip(theirs, names, strict=False):
                if old != new:
                    raise CheckpointError(
                        f"the optimizer's group {number} had {old} where this run has {new}: its parameters "
                        "are others, or in another order"
                    )

    def _check_shapes(self, saved: Mapping[str, Any]) -> None:
        kind = type(self.optimizer)
        if not kind.__module__.startswith("torch.optim") or kind.__name__ in _OTHER_SHAPES:
            return
        numbers = [number for group in saved["param_groups"] for number in group["params"]]
        named = [name for names in self._names for name in names]
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, name, parameter in zip(numbers, named, parameters, strict=True):
            for key, value in saved["state"].get(number, {}).items():
                if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                    raise CheckpointError(
                        f"the optimizer's {key} of {name or f'parameter {number}'} has the shape "
                        f"{list(value.shape)}, the parameter {list(parameter.shape)}"
                    )

    def _obey(self, group: dict[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
        """Put into a saved group the options that the config has changed; return what to say of each."""
        changes = {}
        for option, value in new.items():
            if option not in old:
                group.setdefault(option, value)
                continue
            if _same(old[option], value):
                continue
            gains_momentum = type(self.optimizer).__name__ == "RMSprop" and option == "momentum" and value
            if (option in _NEED_STATE and value) or (gains_momentum and not old[option]):
                raise CheckpointError(
                    f"{option}={value} (was {old[option]}) needs a state of every parameter that the "
                    "checkpoint does not have"
                )
            if option == "lr":
                now, first = float(group["lr"]), float(old[option])
                group["lr"] = value if now == first or not first else now * float(value) / first
                if "initial_lr" in group:
                    group["initial_lr"] = value
            else:
                group[option] = value
            changes[option] = f"{value} instead of {old[option]}"
        return changes


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a group was made with, without those that a schedule changes."""
    options = {key: value for key, value in group.items() if key not in ("params", "initial_lr")}
    return {**options, "lr": group.get("initial_lr", group.get("lr"))}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _described(sizes: Sequence[int]) -> str:
    if len(sizes) == 1:
        return f"1 group of {sizes[0]} parameters"
    total = sum(sizes)
    detail = f" ({', '.join(map(str, sizes))})" if len(sizes) <= 8 else ""
    return f"{len(sizes)} groups of {total} parameters together{detail}"
