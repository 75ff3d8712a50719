"""A whole detector in one file that runs without this library."""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg._atomic import atomic_write
from lazycfg._version import __version__
from lazycfg.structures import ImageList

from .checking import Bounds, Comparison, compare, eager_results, random_examples
from .errors import ExportError
from .families import refusal
from .graph import DetectorGraph, Suppress, graph_of, keep_of_groups

__all__ = ["INFO", "ExportReport", "export_detector", "trace_detector"]

INFO = "lazycfg.json"
"""The name of what is said about the model inside a ``.pt2`` file; in ONNX it is the property "lazycfg"."""

_MEANINGS = {
    "boxes": "XYXY in pixels of the images, best first",
    "scores": "from 0 to 1; 0 for rows that are padding",
    "classes": "index of the class; -1 for rows that are padding",
    "count": "rows of each image that are no padding",
    "truncated": "whether boxes were left out because more than `candidates` scored enough",
    "masks": "probabilities of cells of the box, row by row; inside from 0.5",
    "heatmaps": "logits of cells of the box; a keypoint is at the highest place after bicubic resizing",
}


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with the model.

    Attributes:
        path: of the file.
        bytes: its size.
        comparison: with the model, on the examples.
        info: what the file says about the model: inputs, outputs, limits, class names.
    """

    path: Path
    bytes: int
    comparison: Comparison
    info: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.path}: {self.bytes / 1e6:,.1f} MB; {self.comparison}"


def export_detector(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int],
    batch: int = 1,
    examples: Sequence[Tensor] | None = None,
    candidates: int | None = None,
    class_names: Sequence[str] | None = None,
    bounds: Bounds | None = None,
) -> ExportReport:
    """Write a whole detector into one file, from the pixels to the boxes after NMS, and check the file.

        report = export_detector(model, "model.pt2", size=(800, 1216), examples=images)

    What was written is loaded, run on the examples and compared with the model. The file is there only if
    they agree.

    Args:
        model: in evaluation mode; RetinaNet, FCOS, or a two-stage detector with boxes, masks and keypoints.
        path: ``.pt2`` for `torch.export`, ``.onnx`` for ONNX (needs ``pip install 'lazycfg[onnx]'``).
        size: (height, width) of the images that the file takes, in pixels.
        batch: how many images it takes at a time.
        examples: images (C, height, width) to compare on, of the values and the channel order that the model
            takes; by default blobs of noise, in which a trained model may find nothing.
        candidates: the best so many boxes of an image go into NMS; by default ten for each detection, at
            least 1,000. The output ``truncated`` says whether there were more.
        class_names: are written into the file.
        bounds: how far the two may be apart.

    Raises:
        ExportError: the model cannot be exported, finds nothing in the examples, or the file disagrees with
            it; nothing is written.
    """
    path = Path(path)
    if path.suffix not in (".pt2", ".onnx"):
        raise ExportError(f"{path}: the suffix says what is written: .pt2 or .onnx")
    graph = _graph(model, size, batch, candidates)
    names = None if class_names is None else [str(name) for name in class_names]
    limits = graph.limits()
    if names is not None and len(names) != limits.num_classes:
        raise ExportError(f"{len(names)} class names for a model of {limits.num_classes} classes")
    if path.suffix == ".onnx":
        from . import onnx_file

        onnx_file.check_installed()
        graph.suppress = onnx_file.keep_of_groups_onnx
    batches = _batches(model, examples, size, batch)
    expected = eager_results(model, batches)
    program = _trace(graph, batches[0].float())
    info = _info(model, graph, program, names)
    with atomic_write(path) as partial:
        if path.suffix == ".onnx":
            onnx_file.write(program, partial, info)
            run = onnx_file.runner(partial)
        else:
            torch.export.save(program, partial, extra_files={INFO: json.dumps(info, indent=1)})
            run = torch.export.load(partial).module()
        with torch.no_grad():
            comparison = compare(run, batches, expected, limits, bounds or Bounds())
    return ExportReport(path, path.stat().st_size, comparison, info)


def trace_detector(
    model: nn.Module, *, size: tuple[int, int], batch: int = 1, candidates: int | None = None
) -> torch.export.ExportedProgram:
    """Return the program that `export_detector` writes as ``.pt2``, not compared with the model.

    Args:
        model, size, batch, candidates: as for `export_detector`.

    Returns:
        A program from float32 images (batch, C, height, width) to a dict of tensors.

    Raises:
        ExportError: the model cannot be exported.
    """
    graph = _graph(model, size, batch, candidates)
    channels = len(graph.model.pixel_mean)
    return _trace(graph, torch.zeros((batch, channels, *size), device=graph.model.device))


def _graph(
    model: Any, size: tuple[int, int], batch: int, candidates: int | None, suppress: Suppress = keep_of_groups
) -> DetectorGraph:
    """Return the graph of a model, if it can be exported."""
    reason = refusal(model)
    if reason is not None:
        raise ExportError(f"the model cannot be exported: {reason}")
    if model.training:
        raise ExportError("the model is in training mode: call model.eval() first")
    if len(size) != 2 or min(size) < 1 or batch < 1:
        raise ExportError(
            f"size={tuple(size)}, batch={batch}: expected (height, width) and at least one image"
        )
    if candidates is not None and candidates < 1:
        raise ExportError(f"candidates={candidates}: expected at least 1")
    height, width = size
    backbone = model.backbone
    try:
        ImageList.padded_size([(height, width)], backbone.size_divisibility, backbone.padding_constraints)
    except ValueError as error:
        raise ExportError(f"size={height}x{width}: {error}") from error
    return graph_of(model)(model, (height, width), batch, candidates, suppress).eval()


def _trace(graph: DetectorGraph, images: Tensor) -> torch.export.ExportedProgram:
    with torch.no_grad(), warnings.catch_warnings():
        # of torchvision's NMS
        warnings.filterwarnings("ignore", message="`create_unbacked_symint` is deprecated")
        return torch.export.export(graph, (images.to(graph.model.device),), strict=False)


def _batches(
    model: Any, examples: Sequence[Tensor] | None, size: tuple[int, int], batch: int
) -> list[Tensor]:
    """Return the examples in batches, on the device of the model; the last one is filled up."""
    mean = model.pixel_mean
    if examples is None:
        is_rgb = model.input_format in ("BGR", "RGB")
        return [x.to(mean.device) for x in random_examples(size, mean, model.pixel_std, batch, is_rgb)]
    shape = (len(mean), *size)
    for i, image in enumerate(examples):
        if not isinstance(image, Tensor) or tuple(image.shape) != shape:
            got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise ExportError(f"example {i} is {got}, expected a tensor {shape} (channels, height, width)")
    if not len(examples):
        raise ExportError("examples is empty: give images, or leave it out")
    filled = [*examples, *[examples[-1]] * (-len(examples) % batch)]
    return [torch.stack(filled[i : i + batch]).to(mean.device) for i in range(0, len(filled), batch)]


def _info(
    model: Any, graph: DetectorGraph, program: torch.export.ExportedProgram, class_names: list[str] | None
) -> dict[str, Any]:
    """Return what the file says about the model."""
    limits = graph.limits()
    height, width = graph.sizes[0]
    is_rgb = model.input_format in ("BGR", "RGB")
    values = program.graph_signature.user_outputs
    nodes = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    keys = _output_names(program)
    outputs: Mapping[str, Any] = {
        key: {
            "shape": [int(x) for x in nodes[str(name)].shape],
            "dtype": str(nodes[str(name)].dtype).removeprefix("torch."),
            "meaning": _MEANINGS[key],
        }
        for key, name in zip(keys, values, strict=True)
    }
    return {
        "lazycfg": __version__,
        "torch": torch.__version__,
        "model": type(model).__name__,
        "input": {
            "name": "images",
            "shape": [len(graph.sizes), len(model.pixel_mean), height, width],
            "dtype": "float32",
            "channels": model.input_format,
            "range": [0, 255] if is_rgb else None,
            "device": str(model.device),
        },
        "outputs": outputs,
        "score_threshold": limits.score_thresh,
        "nms_threshold": limits.nms_thresh,
        "max_detections": limits.max_detections,
        "candidates": graph.candidates,
        "num_classes": limits.num_classes,
        "class_names": class_names,
    }


def _output_names(program: torch.export.ExportedProgram) -> list[str]:
    """Return the keys of the dict that a program gives, in the order of its outputs."""
    spec = program.call_spec.out_spec
    return [str(key) for key in spec.context]
