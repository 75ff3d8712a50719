"""Our detectors against torchvision's of the same architecture with the same weights.

All figures of a table come from one run in which the models take turns. Ops and syncs are counted once, by
`lazycfg.utils.SyncCounter`: views are no ops, and a sync is what would make the host wait for a GPU. A
training step is forward, backward and SGD; its syncs and ops are those of forward and losses. Breaks are the
cuts that torch.compile makes.
"""

from __future__ import annotations

import copy
import gc
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lazycfg.layers import fuse

from .model_measure import counts, graph_breaks, in_turn, peak_memory
from .model_pairs import PAIRS, Pair, make_pair, our_batch, their_batch

__all__ = ["VARIANTS", "main"]

VARIANTS = ("fp32", "channels_last", "bf16", "fused", "bf16+channels_last+fused", "compiled")
INFERENCE_ONLY = "fused"
JOBS = ("inference", "training")


@dataclass
class Candidate:
    """One row of a table.

    Attributes:
        model: in the mode that is measured.
        inputs: the arguments of its forward.
        context: what it runs under.
        compiled: the model compiled, if it is.
        optimizer: made at the first training step.
    """

    model: nn.Module
    inputs: tuple[Any, ...]
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    compiled: Callable[..., Any] | None = None
    optimizer: torch.optim.Optimizer | None = None

    def forward(self) -> Any:
        model = self.model if self.compiled is None else self.compiled  # `or` would ask for its length
        with self.context():
            return model(*self.inputs)

    def infer(self) -> Any:
        with torch.no_grad():
            return self.forward()

    def train(self) -> None:
        if self.optimizer is None:
            parameters = [p for p in self.model.parameters() if p.requires_grad]
            self.optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9)
        sum(self.forward().values()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def make_variant(model: nn.Module, kind: str, inputs: tuple[Any, ...], device: torch.device) -> Candidate:
    """Our model in one of `VARIANTS`."""
    parts = kind.split("+")
    model = copy.deepcopy(model)
    if "fused" in parts:
        model = fuse(model, inplace=True)
    if "channels_last" in parts:
        model = model.to(memory_format=torch.channels_last)
    candidate = Candidate(model, inputs)
    if "bf16" in parts:
        candidate.context = lambda: torch.autocast(device.type, dtype=torch.bfloat16)
    if "compiled" in parts:
        candidate.compiled = torch.compile(model)
    return candidate


def candidates(
    pair: Pair,
    name: str,
    batch: list[dict[str, Any]],
    training: bool,
    variants: Sequence[str],
    device: torch.device,
) -> dict[str, Candidate]:
    images, targets = their_batch(batch, name, device)
    out = {"torchvision": Candidate(copy.deepcopy(pair.theirs), (images, targets) if training else (images,))}
    for kind in variants:
        if not (training and INFERENCE_ONLY in kind):
            out[f"ours {kind}"] = make_variant(pair.ours, kind, (batch,), device)
    for candidate in out.values():
        candidate.model.train(training)
    return out


def table(
    rows: dict[str, Candidate], training: bool, repeats: int, breaks: bool, device: torch.device
) -> None:
    """Measure and print the rows."""
    times = in_turn({name: c.train if training else c.infer for name, c in rows.items()}, repeats, device)
    header = f"{'':32}{'ms':>9}{'ratio':>7}{'MiB':>8}{'ops':>7}{'syncs':>7}{'breaks':>8}"
    print(header + ("" if training else f"{'found':>7}"))
    for name, c in rows.items():
        memory = peak_memory(c.train if training else c.infer, device)
        counted = None if c.compiled is not None else counts(c.forward if training else c.infer)
        cuts = graph_breaks_of(c) if breaks and name in ("torchvision", "ours fp32") else None
        line = f"{name:32}{times[name]:9.1f}{times[name] / times['torchvision']:7.2f}"
        line += f"{'-' if memory is None else f'{memory:.0f}':>8}"
        line += f"{counted.num_ops:7d}{counted.num_syncs:7d}" if counted else f"{'-':>7}{'-':>7}"
        line += f"{'-' if cuts is None else cuts:>8}"
        if not training:
            line += f"{found(c.infer()):7d}"
        print(line, flush=True)


def graph_breaks_of(c: Candidate) -> int:
    with torch.set_grad_enabled(c.model.training), c.context():
        return graph_breaks(c.model, *c.inputs)


def found(outputs: Sequence[dict[str, Any]]) -> int:
    """Detections of all images."""
    return sum(len(x["instances"] if "instances" in x else x["boxes"]) for x in outputs)


def check_known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise SystemExit(f"unknown {what} {name!r}: expected some of {', '.join(known)}")


def main(
    models: Sequence[str],
    device: str,
    batches: Sequence[int] | None,
    variants: Sequence[str] | None,
    jobs: Sequence[str],
    repeats: int,
    quick: bool,
) -> None:
    """Print the tables; see ``tools/benchmark.py model --help``."""
    check_known("model", models, PAIRS)
    check_known("job", jobs, JOBS)
    variants = variants or VARIANTS
    check_known("variant", variants, VARIANTS)
    where = torch.device(device)
    cuda = where.type == "cuda"
    size = (800, 1333) if cuda else (480, 640)
    batches = batches or ([1] if quick else [1, 8, 16] if cuda else [1, 8])
    if quick:
        variants, repeats = [kind for kind in variants if kind != "compiled"], min(repeats, 2)
    name_of = torch.cuda.get_device_name(where) if cuda else f"{platform.machine()}"
    print(
        f"{name_of}, torch {torch.__version__}, {torch.get_num_threads()} threads, images {size[0]}x{size[1]}"
    )
    for name in models:
        pair = make_pair(name, size, where)
        for job in jobs:
            training = job == "training"
            for n in batches:
                batch = our_batch(n, size)
                print(f"\n{name} {job}, batch {n}")
                rows = candidates(pair, name, batch, training, variants, where)
                table(rows, training, repeats, breaks=not quick and n == batches[0], device=where)
                del rows
                gc.collect()
