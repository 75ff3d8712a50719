"""Files of ONNX: written by `torch.onnx`, run by onnxruntime.

NMS within groups becomes one `NonMaxSuppression`, which has classes and batches of its own: boxes that are
shifted apart would lose digits in float32, which is all it takes.
"""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import ExportError
from .graph import keep_of_groups

__all__ = ["check_installed", "keep_of_groups_onnx", "runner", "write"]

# A file of protocol buffers ends at 2 GiB
_MOST_BYTES = (1 << 31) - (1 << 24)


def check_installed() -> None:
    """Raise ExportError where a package is missing that ONNX needs."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ExportError(f"ONNX needs {', '.join(missing)}: pip install 'lazycfg[onnx]'")


def write(program: torch.export.ExportedProgram, path: Path, info: dict[str, Any]) -> None:
    """Write a traced detector as ONNX.

    Args:
        program: traced with `keep_of_groups_onnx`.
        path: of the file.
        info: goes into its properties, as "lazycfg".

    Raises:
        ExportError: the weights are too large for one file.
    """
    held = sum(x.numel() * x.element_size() for x in program.state_dict.values())
    if held > _MOST_BYTES:
        raise ExportError(
            f"ONNX takes less than 2 GiB in one file, and the weights have {held / 2**30:.1f} GiB"
        )
    with torch.no_grad():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            custom_translation_table=translations(),
            input_names=[info["input"]["name"]],
            output_names=list(info["outputs"]),
        )
    assert made is not None
    made.model.metadata_props["lazycfg"] = json.dumps(info)
    made.save(path)


def runner(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return a function that runs a file on the CPU: images (N, C, H, W) to tensors by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        found = session.run(None, {session.get_inputs()[0].name: images.cpu().numpy()})
        return {name: torch.from_numpy(x) for name, x in zip(names, found, strict=True)}

    return run


@torch.library.custom_op("lazycfg::keep_of_groups", mutates_args=())
def keep_of_groups_onnx(
    boxes: Tensor, rank: Tensor, groups: Tensor, num_groups: int, threshold: float
) -> Tensor:
    """Return (B, C) bool, as `keep_of_groups`: a node of its own in the traced graph."""
    return keep_of_groups(boxes, rank, groups, num_groups, threshold)


@keep_of_groups_onnx.register_fake
def _(boxes: Tensor, rank: Tensor, groups: Tensor, num_groups: int, threshold: float) -> Tensor:
    return torch.empty_like(rank, dtype=torch.bool)


def translations() -> dict[Any, Any]:
    """Return how operators are written that `torch.onnx` does not know."""
    from onnxscript import FLOAT, INT64
    from onnxscript.onnx_opset import opset18 as op

    def keep(boxes: FLOAT, rank: INT64, groups: INT64, num_groups: int, threshold: float) -> Any:
        # (B, G, C): the rank of each box in its own group, nothing in the others
        names = op.Reshape(op.Range(0, num_groups, 1), op.Constant(value_ints=[1, -1, 1]))
        mine = op.Equal(op.Unsqueeze(groups, [1]), op.Cast(names, to=INT64.dtype))
        scores = op.Where(
            mine, op.Cast(op.Unsqueeze(rank, [1]), to=FLOAT.dtype), op.Constant(value_float=-1.0)
        )
        most = op.Constant(value_ints=[torch.iinfo(torch.int64).max])
        limit, least = op.Constant(value_floats=[threshold]), op.Constant(value_floats=[0.0])
        chosen = op.NonMaxSuppression(boxes, scores, most, limit, least)  # (n, 3): image, group, box
        places = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
        image = op.Gather(chosen, op.Constant(value_int=0), axis=1)
        ones = op.Add(op.Mul(image, op.Constant(value_int=0)), op.Constant(value_int=1))
        none = op.Mul(rank, op.Constant(value_int=0))
        return op.Greater(op.ScatterND(none, places, ones), op.Constant(value_int=0))

    def stable_sort(x: FLOAT, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        # Of equal values TopK takes the first one first
        number = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
        return op.TopK(x, number, axis=dim, largest=int(descending), sorted=1)

    aten = torch.ops.aten.sort
    return {torch.ops.lazycfg.keep_of_groups.default: keep, aten.stable: stable_sort}
