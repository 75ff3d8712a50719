"""Inputs that people give and generated ones are not like: fields left out, images of other types."""

from typing import Any

import pytest
import torch
import torch._dynamo
from tiny_families import FAMILIES, family, make_inputs


DENSE = [name for name in FAMILIES if name not in ("semantic", "c4")]


def losses_of(name: str, batch: list[dict[str, Any]]) -> dict[str, float]:
    torch.manual_seed(0)
    return {key: float(loss.detach()) for key, loss in family(name).train()(batch).items()}


@pytest.mark.parametrize("name", [name for name in DENSE if name not in ("cascade", "panoptic")])
def test_compiled_detects_the_same(name: str) -> None:
    torch._dynamo.reset()
    model = family(name).eval()
    batch = make_inputs(2, name)
    field = "proposals" if name == "rpn" else "instances"
    with torch.no_grad():
        expected = model(batch)
        found = torch.compile(model, backend="eager")(batch)
    torch._dynamo.reset()
    for a, b in zip(expected, found, strict=True):
        assert len(a[field]) == len(b[field]) > 0
    if name == "keypoint":
        points = [torch.cat([x["instances"].pred_keypoints for x in out]) for out in (expected, found)]
        torch.testing.assert_close(*points, rtol=1e-3, atol=1e-2)
