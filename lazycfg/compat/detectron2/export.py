"""Export: what is not lazycfg's own way says so when it is used."""

from __future__ import annotations

from typing import Any

__all__ = ["TracingAdapter", "dump_torchscript_IR", "scripting_with_instances"]

_REMEDY = (
    "lazycfg.export.export_detector(model, 'model.pt2', size=(800, 1216)) writes a whole detector, also as "
    "ONNX"
)


class TracingAdapter:
    """Not available.

    Raises:
        NotImplementedError: always; the message names what to use.
    """

    def __init__(
        self, model: Any, inputs: Any, inference_func: Any = None, allow_non_tensor: bool = False
    ) -> None:
        raise NotImplementedError(f"TracingAdapter: {_REMEDY}")


def scripting_with_instances(model: Any, fields: Any) -> Any:
    """Raise NotImplementedError: it is not available; the message names what to use."""
    raise NotImplementedError(f"scripting_with_instances: {_REMEDY}")


def dump_torchscript_IR(model: Any, dir: Any) -> None:
    """Raise NotImplementedError: it is not available; the message names what to use."""
    raise NotImplementedError(f"dump_torchscript_IR: {_REMEDY}")
