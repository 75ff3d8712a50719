"""The channels of the images against those that the first convolution of a model takes."""

import inspect
from typing import Any

from torch import nn

from lazycfg.inspection.origins import origin

from .findings import Findings

__all__ = ["first_convolution_fits"]

_ARGUMENTS = ("in_channels", "in_chans")


class _Reached(Exception):
    """Raised by the first convolution that is called; its arguments are name, module and channels given."""


def first_convolution_fits(model: nn.Module, copy: nn.Module, batch: Any, found: Findings) -> bool:
    """Return whether the first convolution of a model takes the images of a batch, and tell if not.

    Args:
        model: whose parts know where in the config they were written.
        copy: of it, which is called until it reaches a convolution.
        found: takes in what is wrong.
    """

    def stop(name: str) -> Any:
        def hook(module: nn.Conv2d, args: Any) -> None:
            if args and getattr(args[0], "ndim", 0) == 4:
                raise _Reached(name, module, int(args[0].shape[1]))

        return hook

    convolutions = [(name, part) for name, part in copy.named_modules() if isinstance(part, nn.Conv2d)]
    hooks = [part.register_forward_pre_hook(stop(name)) for name, part in convolutions]
    try:
        copy(batch)
    except _Reached as reached:
        name, convolution, given = reached.args
    except Exception:  # comes again, and is told, when the batch is tried
        return True
    else:
        return True
    finally:
        for hook in hooks:
            hook.remove()
    if convolution.in_channels == given:
        return True
    path = _argument(model, name)
    text = (
        f"images have {given} channels, and the first convolution (model.{name}) takes "
        f"{convolution.in_channels}"
    )
    if all(text != known.what for known in found.problems):
        found.add(path or f"model.{name}", text, f"{path}={given}" if path else "")
    return False


def _argument(model: nn.Module, name: str) -> str:
    """Return the config path of the argument that sets the channels of a convolution; "" if not known."""
    parts = name.split(".")[:-1]
    for length in range(len(parts), -1, -1):
        part = model.get_submodule(".".join(parts[:length]))
        names = inspect.signature(type(part)).parameters
        written = origin(part)
        for argument in _ARGUMENTS:
            if argument in names and written is not None:
                return f"{written.path}.{argument}"
    return ""
