"""Where the time of a training step and of an inference batch goes, by part of the model."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lazycfg import LazyConfig, instantiate


class PartTimes:
    """Seconds in the forward passes of the parts of a model, those of parts inside them included.

    Args:
        model: its children, and theirs down to `depth`, are the parts.
        depth: names have at most so many dots.
    """

    def __init__(self, model: nn.Module, depth: int) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._began: dict[str, float] = {}
        for name, module in model.named_modules():
            if name and name.count(".") <= depth:
                module.register_forward_pre_hook(self._enter(name))
                module.register_forward_hook(self._leave(name))

    def _enter(self, name: str) -> Any:
        def hook(*_: Any) -> None:
            self._began[name] = now()

        return hook

    def _leave(self, name: str) -> Any:
        def hook(*_: Any) -> None:
            self.seconds[name] += now() - self._began.pop(name)

        return hook

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure the block, under a name of its own."""
        begun = now()
        yield
        self.seconds[name] += now() - begun


def now() -> float:
    """Return the time in seconds when all that was asked for is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def main(config_file: str, overrides: list[str], device: str, repeats: int, depth: int) -> None:
    cfg = LazyConfig.load(config_file)
    LazyConfig.apply_overrides(cfg, overrides)
    for title, loader, train in (("training step", "train", True), ("inference batch", "test", False)):
        model = instantiate(cfg.model).to(device).train(train)
        batch = next(iter(instantiate(cfg.dataloader[loader])))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        times = PartTimes(model, depth)
        for repeat in range(repeats + 1):
            if repeat == 1:
                times.seconds.clear()  # the first one made buffers
            with times.measure("all"):
                if train:
                    with times.measure("forward"):
                        loss = sum(model(batch).values())
                    with times.measure("backward"):
                        optimizer.zero_grad()
                        loss.backward()
                    with times.measure("optimizer"):
                        optimizer.step()
                else:
                    with torch.inference_mode():
                        model(batch)
        print(f"{title}, {len(batch)} images on {device}")
        whole = times.seconds["all"]
        for name, seconds in sorted(times.seconds.items(), key=lambda item: -item[1]):
            if seconds >= 0.005 * whole:
                print(f"  {name:40s} {seconds / repeats * 1e3:9.1f} ms {seconds / whole:6.1%}")
