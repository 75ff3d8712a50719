"""What a model costs: operations, activations and parameters, by operator and by module.

The counts are of a run on real inputs, with the boxes that the model finds there. A trial without memory and
weights is `lazycfg.engine.model_summary`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

__all__ = [
    "ActivationCounter",
    "OperatorCounts",
    "activation_count_operators",
    "count_operators",
    "find_unused_parameters",
    "flop_count_operators",
    "more_flop_formulas",
    "parameter_count",
    "parameter_count_table",
]

_KINDS = {
    "convolution": "conv", "_convolution": "conv", "cudnn_convolution": "conv",
    "_slow_conv2d_forward": "conv", "mm": "linear", "addmm": "linear", "bmm": "matmul", "baddbmm": "matmul",
    "deform_conv2d": "deform_conv",
}  # fmt: skip


@dataclass(frozen=True)
class OperatorCounts:
    """What one run of a model took.

    Attributes:
        multiply_adds: name of a module, "" for the model -> kind of operator -> multiplications with
            additions, each pair counted as one, as in the tables of papers. Matrix products, convolutions and
            attention are counted.
        activations: name of a module -> kind of operator -> numbers that these operators returned.

    The counts of a module hold those of the modules in it.
    """

    multiply_adds: Mapping[str, Mapping[str, int]]
    activations: Mapping[str, Mapping[str, int]]


def count_operators(model: nn.Module, inputs: Any) -> OperatorCounts:
    """Run a model once in evaluation mode, and count.

    Args:
        model: as it is, with weights; it is left in the mode that it was in.
        inputs: what it is called with: a list of dicts, for a model of this library. A tuple is several
            arguments.
    """
    counter = FlopCounterMode(display=False, custom_mapping=more_flop_formulas())
    activations = ActivationCounter()
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    with _evaluation(model), torch.no_grad(), activations, counter:
        model(*arguments)
    flops = {}
    for place, counts in counter.get_flop_counts().items():
        # Both count from the class of the model on: GeneralizedRCNN.backbone.bottom_up
        kinds: dict[str, int] = defaultdict(int)
        for operator, count in counts.items():
            kinds[_kind(operator)] += count // 2
        if name := _name(place, model):
            flops[name[0]] = dict(kinds)
    found = {
        name[0]: dict(kinds) for place, kinds in activations.counts.items() if (name := _name(place, model))
    }
    return OperatorCounts(flops or {"": {}}, found or {"": {}})


def flop_count_operators(model: nn.Module, inputs: Any) -> dict[str, float]:
    """Return billions of multiply-adds of one run, by the kind of operator; see `count_operators`."""
    return {kind: count / 1e9 for kind, count in count_operators(model, inputs).multiply_adds[""].items()}


def activation_count_operators(model: nn.Module, inputs: Any) -> dict[str, float]:
    """Return millions of numbers that the operators of one run returned, by kind; see `count_operators`."""
    return {kind: count / 1e6 for kind, count in count_operators(model, inputs).activations[""].items()}


def parameter_count(model: nn.Module) -> dict[str, int]:
    """Return the number of parameters of each module and parameter by name; "" is the model.

    A parameter that is shared counts where it is met first.
    """
    counts: dict[str, int] = defaultdict(int)
    counts[""] = 0
    for name, parameter in model.named_parameters():
        counts[name] = parameter.numel()
        parts = name.split(".")
        for length in range(len(parts)):
            counts[".".join(parts[:length])] += parameter.numel()
    return dict(counts)


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """Return the parameters of each part as a table: a number, or the shape of a parameter.

    Args:
        model: whose parameters are counted.
        max_depth: how deep to look into it; 1 shows its children only.
    """
    counts = parameter_count(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    inside: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        if name:
            inside[name.rpartition(".")[0]].append(name)
    rows: list[tuple[str, str]] = []

    def add(name: str, depth: int) -> None:
        shown = str(shapes[name]) if name in shapes else short_number(counts[name])
        rows.append(("  " * depth + (name or "model"), shown))
        for child in inside[name] if depth < max_depth else ():
            add(child, depth + 1)

    add("", 0)
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {shown}" for name, shown in [("name", "parameters or shape"), *rows])


def find_unused_parameters(model: nn.Module, inputs: Any) -> list[str]:
    """Return names of the trained parameters that a training step gives no gradient.

    Args:
        model: is run in training mode and left in the mode that it was in, without gradients.
        inputs: what it is called with: a list of dicts with "instances", for a detector. It returns a loss
            or a dict of losses.

    Raises:
        ValueError: it returns something else.
    """
    was_training = model.training
    model.train()
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    for parameter in model.parameters():
        parameter.grad = None
    try:
        losses = model(*arguments)
        parts = list(losses.values()) if isinstance(losses, Mapping) else losses
        total = sum(parts) if isinstance(parts, (list, tuple)) else parts
        if not isinstance(total, Tensor):
            raise ValueError(f"the model returned {type(losses).__name__}, not a loss or a dict of losses")
        total.sum().backward()
        named = model.named_parameters()
        return [name for name, parameter in named if parameter.requires_grad and parameter.grad is None]
    finally:
        for parameter in model.parameters():
            parameter.grad = None
        model.train(was_training)


def short_number(count: float) -> str:
    """Return a number with three digits and a letter: 41.7M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:g}"


def more_flop_formulas() -> dict[Any, Any]:
    """Return the operations, two for a multiply-add, of operators that PyTorch's counter does not know."""

    def deform_conv(x: Any, weight: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        batch, _, height, width = out_shape
        return int(2 * batch * height * width * prod(weight))

    def attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        return int(2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))

    formulas = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    with suppress(AttributeError):  # torchvision was built without its operators
        formulas[torch.ops.torchvision.deform_conv2d] = deform_conv
    return formulas


class ActivationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that matrix products, convolutions and attention return, by module."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.tracker = ModuleTracker()
        self.known = set(FlopCounterMode(display=False).flop_registry) | set(more_flop_formulas())

    def __enter__(self) -> Any:
        self.tracker.__enter__()
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *exc_info: Any) -> Any:
        super().__exit__(*exc_info)  # type: ignore[no-untyped-call]
        self.tracker.__exit__(*exc_info)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in self.known:
            first = out[0] if isinstance(out, (tuple, list)) else out
            self.total += first.numel()
            for place in self.tracker.parents:
                self.counts[place][_kind(func._overloadpacket)] += first.numel()
        return out


def _kind(operator: Any) -> str:
    name = str(operator).rpartition(".")[2]
    return "attention" if "scaled_dot_product" in name or "attention" in name else _KINDS.get(name, name)


def _name(place: str, model: nn.Module) -> tuple[str] | None:
    """Return the name in the model of a place in the counters, in a tuple; None for what is outside."""
    root = type(model).__name__
    if place == "Global":
        return ("",)
    return (place.removeprefix(f"{root}."),) if place.startswith(f"{root}.") else None


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
