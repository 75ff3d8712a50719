"""A trial of a model without memory: its parts' parameters, output shapes and floating-point operations.

The model lives on the meta device, where tensors have shapes and no values. It is run as for a prediction.
What depends on values (which boxes are kept, how many detections there are) cannot be known so: suppression
is taken to keep every box, and where the model asks for a value the run ends, and the report says so. The
heads behind that point are given as many boxes as the model may detect.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lazycfg.inspection.origins import explain_errors, origin
from lazycfg.structures import Boxes, Instances
from lazycfg.utils.analysis import ActivationCounter, more_flop_formulas

__all__ = ["USUAL_SIZE", "Part", "Trial", "try_model"]

_NEEDS_VALUES = re.compile(
    r"meta tensor|'Meta' backend|data-dependent|data-independent|no data", re.IGNORECASE
)
_MOST_SHAPES = 10
_PROPOSALS = 1000  # as many as the usual test


@dataclass
class Part:
    """One part of a model.

    Attributes:
        name: its name in the model; empty for the model itself.
        path: its config path below that of the model; its name, where it has no node.
        kind: its class.
        parameters, trained: how many numbers it holds, and how many of them are trained.
        flops: of one image; None when it did not run.
        activations: numbers that its matrix products, convolutions and attention returned for one image.
        outputs: (name, shape) of what it returned the first time that it ran.
        entered, returned: whether it was called, and whether it came to an end; if not, the outputs are those
            of the last of its layers that did.
        given_boxes: whether it ran on boxes that were made up, as many as there may be detections.
    """

    name: str
    path: str
    kind: str
    parameters: int
    trained: int
    flops: int | None = None
    activations: int = 0
    outputs: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    entered: bool = False
    returned: bool = False
    given_boxes: bool = False


@dataclass
class Trial:
    """What a trial found.

    Attributes:
        parts: the model and its parts that have nodes of their own in the config, outermost first.
        size: (height, width) of the image.
        stopped: where values were needed, as text; None when the model ran to its end.
        refused: what a model of some other library raised when that may be for the image: it takes something
            else, or one of another size.
        error: what the model raised when its parts do not fit, with a note that names the part; or None.
    """

    parts: list[Part]
    size: tuple[int, int]
    stopped: str | None = None
    refused: Exception | None = None
    error: Exception | None = None

    def totals(self) -> tuple[int, int]:
        """Return operations and activations: of each part that ran and is in none that did, once."""
        ran = {part.name: part for part in self.parts if part.flops is not None}
        outermost = [part for name, part in ran.items() if not any(above in ran for above in _above(name))]
        return sum(part.flops or 0 for part in outermost), sum(part.activations for part in outermost)


def _above(name: str) -> Iterator[str]:
    """Yield the names of what a module is in, but for the model itself, whose name is empty."""
    while name:
        name = name.rpartition(".")[0]
        yield name


class _KeepAll(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Suppression keeps every box: the most that there can be."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "torchvision::nms" in str(func.name()):
            return torch.arange(args[0].shape[0], device=args[0].device)
        return func(*args, **(kwargs or {}))


USUAL_SIZE = (800, 1333)
"""Height and width of the larger images of COCO, as most configs resize them."""


def default_size(model: nn.Module, usual: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return (height, width) of an image for a model: that which a part of it is made for, else ``usual``, or
    800 x 1333.
    """
    for part in model.modules():
        if getattr(part, "train_size", None) is not None:  # of DeepLab's heads
            return tuple(part.train_size)
    square = _square_of(model)
    return (square, square) if square else usual or USUAL_SIZE


def _square_of(model: nn.Module) -> int:
    constraints = getattr(getattr(model, "backbone", None), "padding_constraints", None)
    return int(constraints.get("square_size", 0) or 0) if isinstance(constraints, Mapping) else 0


def try_model(
    model: nn.Module, size: tuple[int, int] | None = None, *, usual: tuple[int, int] | None = None
) -> Trial:
    """Run a model that lives on the meta device on one image.

    Args:
        model: built under ``torch.device("meta")``; it is put into evaluation mode.
        size: (height, width) of the image in pixels.
        usual: its size where none is given and the model is made for none.
    """
    model.eval()
    height, width = size or default_size(model, usual)
    trial = Trial(_parts(model), (height, width))
    tensor = torch.empty(3, height, width, device="meta")
    image: dict[str, Any] = {"image": tensor, "height": height, "width": width}
    if getattr(model, "proposal_generator", model) is None:  # its proposals come with the data
        image["proposals"] = Instances((height, width))
        image["proposals"].proposal_boxes = Boxes(torch.empty(_PROPOSALS, 4, device="meta"))
        image["proposals"].objectness_logits = torch.empty(_PROPOSALS, device="meta")
    if not hasattr(model, "preprocess_image"):
        # What it takes is a guess: torch warns of a batch of dicts that is asked for in a tensor
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            _run_on_tensor(model, trial, is_sized=size is not None)
        return trial
    trial.stopped, trial.error = _run(model, trial, model, [image])
    heads = getattr(model, "roi_heads", None)
    if trial.stopped and trial.error is None and hasattr(heads, "forward_with_given_boxes"):
        given = Instances((height, width))
        count = _most_detections(heads)
        given.pred_boxes = Boxes(torch.empty(count, 4, device="meta"))
        given.pred_classes = torch.empty(count, dtype=torch.int64, device="meta")
        inference = getattr(model, "inference", None)
        if inference is not None:
            _, trial.error = _run(model, trial, inference, [image], [given], given_boxes=True)
    return trial


def _run_on_tensor(model: nn.Module, trial: Trial, *, is_sized: bool) -> None:
    """Run a model that is not of this library: its backbone, else itself, on a tensor (1, 3, H, W).

    Args:
        is_sized: whether the size of the image is meant for the model.
    """
    backbone = getattr(model, "backbone", None)
    divisor = int(getattr(backbone, "size_divisibility", 0) or 1)
    height, width = ((side + divisor - 1) // divisor * divisor for side in trial.size)
    image = torch.empty(1, 3, height, width, device="meta")
    trial.stopped, error = _run(model, trial, backbone or model, image)
    if error is None:
        return
    # A model that got as far as to run a part of itself took the image.
    took_it = any(part.returned for part in trial.parts)
    if isinstance(backbone, nn.Module) or (took_it and (is_sized or _is_of_any_size(error, model, image))):
        trial.error = error
    else:
        trial.refused = error


def _is_of_any_size(error: Exception, model: nn.Module, image: Tensor) -> bool:
    """Return whether a model fails alike for an image of another size: then the size is not what it objects
    to.
    """
    larger = nn.functional.pad(image, (0, 64, 0, 64))
    try:
        with torch.no_grad(), torch.device("meta"):
            model(larger)
    except Exception as other:  # whatever the model raises
        return repr(other) == repr(error)
    return False


def _most_detections(heads: Any) -> int:
    predictor = getattr(heads, "box_predictor", None)
    predictor = predictor[-1] if isinstance(predictor, nn.ModuleList) else predictor
    count = int(getattr(predictor, "test_topk_per_image", 100))
    return count if count > 0 else 100


def _run(
    model: nn.Module, trial: Trial, function: Any, *inputs: Any, given_boxes: bool = False
) -> tuple[str | None, Exception | None]:
    """Run something of the model and note what its parts return; (where it stopped, what was wrong)."""
    counter = FlopCounterMode(display=False, custom_mapping=more_flop_formulas())
    activations = ActivationCounter()
    watcher = _Watcher(model, trial, lambda: (counter.get_total_flops(), activations.total), given_boxes)
    keep_all: Any = _KeepAll()  # type: ignore[no-untyped-call]
    stopped = error = None
    try:
        with torch.no_grad(), torch.device("meta"), activations, counter, keep_all, explain_errors(model):
            function(*inputs)
    except Exception as caught:
        if _NEEDS_VALUES.search(str(caught)):
            stopped = _place_of(caught)
        else:
            error = caught
    finally:
        watcher.close()
    return stopped, error


class _Watcher:
    """Notes what the parts of a model that have not run yet are given and return."""

    def __init__(
        self, model: nn.Module, trial: Trial, counts: Callable[[], tuple[int, int]], given_boxes: bool
    ) -> None:
        self.counts = counts  # operations and activations until now
        self.given_boxes = given_boxes
        self.began: dict[str, tuple[int, int]] = {}  # counts before a part that has not returned yet
        self.parts = {part.name: part for part in trial.parts if part.flops is None}
        all_parts = {part.name for part in trial.parts}
        self.hooks: list[Any] = []
        for name, module in model.named_modules():
            if name in self.parts:
                self.hooks.append(module.register_forward_pre_hook(partial(self.enter, name)))
                self.hooks.append(module.register_forward_hook(partial(self.leave, name)))
            elif name not in all_parts:
                above = name
                while above not in all_parts:
                    above = above.rpartition(".")[0]
                if above in self.parts:
                    self.hooks.append(module.register_forward_hook(partial(self.leave_inner, above)))

    def enter(self, name: str, module: nn.Module, args: Any) -> None:
        """Note where the operations of a part begin."""
        self.began[name] = self.counts()
        self.parts[name].entered = True

    def leave(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        """Note the shapes that a part returns, and its operations."""
        part = self.parts[name]
        if not part.returned:
            part.outputs, part.returned = list(_shapes(output)), True
        self.count(name)

    def leave_inner(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        """The result of a layer inside a part: it is shown when the part itself never returns."""
        if not self.parts[name].returned:
            self.parts[name].outputs = list(_shapes(output))

    def count(self, name: str) -> None:
        """Add the operations and activations since the part was entered."""
        part = self.parts[name]
        part.given_boxes = self.given_boxes
        flops, activations = self.counts()
        flops_before, activations_before = self.began.pop(name)
        part.flops = (part.flops or 0) + flops - flops_before
        part.activations += activations - activations_before

    def close(self) -> None:
        """Count for parts that never returned, and take the hooks off."""
        for name in list(self.began):
            has_parts = any(
                other.startswith(f"{name}." if name else "") for other in self.parts if other != name
            )
            if has_parts:
                self.parts[name].outputs = []
            else:
                self.count(name)
        for hook in self.hooks:
            hook.remove()


def _place_of(error: Exception) -> str:
    """Return the function of the model that asked for a value; what only watches its operators is none."""
    traceback = error.__traceback__
    counters = (__name__, ActivationCounter.__module__)  # they stand between a function and its values
    place = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in ("torch", "torchvision") and module not in counters:
            place = f"{module}.{code.co_qualname}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _parts(model: nn.Module) -> list[Part]:
    """Return the model, its children, and what in it was built by a node of the config."""
    found = []
    top = origin(model)
    prefix = "" if top is None else f"{top.path}."
    for name, module in model.named_modules():
        made = origin(module)
        if "." in name and made is None:
            continue
        path = name if made is None or not name else made.path.removeprefix(prefix)
        sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
        trained = sum(count for count, is_trained in sizes if is_trained)
        found.append(Part(name, path, type(module).__name__, sum(count for count, _ in sizes), trained))
    return found


def _shapes(value: Any, name: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of the tensors in what a module returns."""
    for key, tensor in islice(_tensors(value, name), _MOST_SHAPES):
        yield key, tuple(tensor.shape)


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
        return
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif hasattr(value, "get_fields"):
        inner = list(value.get_fields().items())
    elif type(value) in (list, tuple) or hasattr(value, "_fields"):
        names = getattr(value, "_fields", None) or (range(len(value)) if len(value) > 1 else [""])
        inner = list(zip(names, value, strict=False))
    elif isinstance(getattr(value, "tensor", None), Tensor):
        inner = [("", value.tensor)]
    elif not isinstance(value, type):  # a list that is made when it is looked at must not be looked at
        inner = [(key, item) for key, item in getattr(value, "__dict__", {}).items() if key[:1] != "_"]
        inner = [(key, item) for key, item in inner if isinstance(item, Tensor)]
    for key, item in inner:
        joined = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".strip(".")
        yield from _tensors(item, joined)
