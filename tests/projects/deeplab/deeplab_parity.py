"""Models of the DeepLab family against numbers of the reference implementation.

As `tests/parity/parity_check.py`, with less to store: of the state_dict a digest of keys, shapes and types,
and the gradient norms in the order of the parameters' names.
"""

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.utils.events import EventStorage

sys.path.append(str(Path(__file__).parents[2] / "parity"))
import parity_check
import parity_inputs as inputs
from parity_fill import checksum, fill_
from parity_numbers import num

PROJECTS = Path(__file__).parents[3] / "projects"
CLASSES = 19

# Batch normalisation of two images in a hundred layers enlarges the float32 noise of a sum to 2 % of a
# gradient: the order of the sums, and so the golden numbers, depend on the processor and on the threads.
# Float64 is the same everywhere, and that far from them.
GRADIENT = 0.03


def load_golden(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def build(config: str, overrides: list[str]) -> nn.Module:
    cfg = LazyConfig.load(PROJECTS / config)
    LazyConfig.apply_overrides(cfg, overrides)
    return instantiate(cfg.model)


def digest(model: nn.Module) -> str:
    lines = sorted(
        f"{key} {list(t.shape)} {str(t.dtype).removeprefix('torch.')}"
        for key, t in model.state_dict().items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def prepare(model: nn.Module, golden: dict[str, Any]) -> None:
    """Check the names, fill in the weights."""
    assert digest(model) == golden["state_dict"]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == golden["num_params_trainable"]
    fill_(model, golden["fill"]["scale"], golden["fill"]["rules"])
    assert checksum(model) == golden["fill"]["crc32"]


def make_batch(*, panoptic: bool = False, weights_dim: int = 2) -> list[dict[str, Any]]:
    """The two images; `weights_dim` 2 gives maps of weights (H, W), as the golden file, 3 (1, H, W)."""
    batch = []
    for i, (seed, h, w, out_h, out_w) in enumerate(inputs.IMAGES):
        item = {"image": inputs.image(seed, h, w), "height": out_h, "width": out_w}
        item["sem_seg"] = inputs.sem_seg(h, w, CLASSES, shift=5 * i)
        if panoptic:
            maps = inputs.panoptic_deeplab_targets(inputs.GT_BOXES[i], h, w)
            for name in ("center_weights", "offset_weights"):
                maps[name] = maps[name].reshape((1,) * (weights_dim - 2) + (h, w))
            item |= maps
        batch.append(item)
    return batch


@torch.no_grad()
def assert_eval(model: nn.Module, golden: dict[str, Any], batch: list[dict[str, Any]]) -> None:
    model.eval()
    expected = golden["eval"]
    seen: dict[str, Any] = {}
    for name in expected["modules"]:
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.__setitem__(name, num(output))
        )
    outputs = model(batch)
    for name, value in expected["modules"].items():
        parity_check.compare(seen[name], value, f"modules.{name}")
    parity_check.compare(num(outputs), expected["post"], "post")


def training_step(model: nn.Module, batch: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Losses, and the gradient norm of each parameter, in float64."""
    model.double().train()
    model.zero_grad()
    with EventStorage(0):
        losses = model(batch)
    sum(losses.values()).backward()
    norms = {name: p.grad.double().norm().item() for name, p in model.named_parameters()}
    return {name: loss.item() for name, loss in losses.items()}, norms


def assert_training(model: nn.Module, golden: dict[str, Any], batch: list[dict[str, Any]]) -> None:
    """Compare losses, and the gradient norms of each parameter and of all of them."""
    expected = golden["train"]
    losses, norms = training_step(model, batch)
    assert losses == {
        name: value_close(losses[name], value, parity_check.RELATIVE)
        for name, value in expected["losses"].items()
    }
    floor = 1e-5 * expected["grad_norm"]
    assert len(norms) == len(expected["grad_norms"])
    wrong = {
        name: (norms[name], value)
        for name, value in zip(sorted(norms), expected["grad_norms"], strict=True)
        if abs(norms[name] - value) > GRADIENT * max(value, floor)
    }
    assert not wrong, f"gradient norms (got, expected): {wrong}"
    total = math.hypot(*norms.values())
    assert math.isclose(total, expected["grad_norm"], rel_tol=GRADIENT / 10), total


def value_close(got: float, expected: float, relative: float) -> float:
    """What was got if it is close to what was expected, else what was expected."""
    return got if math.isclose(got, expected, rel_tol=relative) else expected
