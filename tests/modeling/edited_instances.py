"""Edits of what a part of a detector returns, and what must come out of the model then."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tiny_rotated
import torch
from tiny_families import family, make_inputs
from torch import nn

from lazycfg.structures import Boxes, Instances, RotatedBoxes

SIZES = [(64, 96), (80, 64)]


BOX = [3.0, 4.0, 43.0, 34.0]


ROTATED_BOX = [23.0, 24.0, 30.0, 12.0, 20.0]


def box_name(x: Instances) -> str:
    return "pred_boxes" if x.has("pred_boxes") else "proposal_boxes"


def score_name(x: Instances) -> str:
    return "scores" if x.has("scores") else "objectness_logits"


def wanted_box(x: Instances) -> torch.Tensor:
    return torch.tensor(ROTATED_BOX if isinstance(x.get(box_name(x)), RotatedBoxes) else BOX)


def in_place(x: Instances) -> Instances:
    x.get(box_name(x)).tensor[:] = wanted_box(x)
    x.get(score_name(x))[:] = 0.75
    return x


def replaced(x: Instances) -> Instances:
    boxes = x.get(box_name(x))
    x.set(box_name(x), type(boxes)(wanted_box(x).repeat(len(x), 1)))
    x.set(score_name(x), torch.full((len(x),), 0.5))
    return x


def filtered(x: Instances) -> Instances:
    return x[[i % 2 == 0 for i in range(len(x))]]


def reordered(x: Instances) -> Instances:
    return x[list(range(len(x)))[::-1]]


def emptied(x: Instances) -> Instances:
    return x[:0]


def extended(x: Instances) -> Instances:
    x.embedding = torch.arange(2.0 * len(x)).view(-1, 2)
    x.names = [f"object {i}" for i in range(len(x))]
    return x


EDITS = {edit.__name__: edit for edit in (in_place, replaced, filtered, reordered, emptied, extended)}


every_edit = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


@functools.cache
def built(name: str) -> nn.Module:
    if name == "rotated":
        model = tiny_rotated.tiny_model()
        model.roi_heads.box_predictor.test_score_thresh = 0.2
        return model
    model = family(name)
    if name == "panoptic":
        model.combine_stuff_area_thresh = 50
    return model


def inputs(name: str, n: int = 2) -> list[dict[str, Any]]:
    return tiny_rotated.make_batch(n) if name == "rotated" else make_inputs(n, name, sizes=SIZES)


@contextmanager
def overridden(owner: nn.Module, method: str, change: Callable[..., Any]) -> Iterator[None]:
    """Make the owner an object of a subclass whose method returns `change` of what its parent returns."""
    kind = type(owner)

    def own(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(getattr(super(subclass, self), method)(*args, **kwargs))

    subclass = type("Mine", (kind,), {method: own})
    owner.__class__ = subclass
    try:
        yield
    finally:
        owner.__class__ = kind


class Written:
    """Edits what a method returns and remembers what it has written; ``at`` is where the list is in it."""

    def __init__(self, edit: Callable[[Instances], Instances], at: int | None) -> None:
        self.edit, self.at, self.lists = edit, at, []

    def __call__(self, result: Any) -> Any:
        if isinstance(result, Instances):
            self.lists.append(copied(edited := self.edit(result)))
            return edited
        instances = result if self.at is None else result[self.at]
        assert type(instances) is list
        edited = [self.edit(x) for x in instances]
        self.lists += [copied(x) for x in edited]
        if self.at is None:
            return edited
        return (*result[: self.at], edited, *result[self.at + 1 :])


def copied(x: Instances) -> Instances:
    out = Instances(x.image_size)
    for name, value in x.get_fields().items():
        if isinstance(value, (Boxes, RotatedBoxes)):
            value = type(value)(value.tensor.clone())
        out.set(name, value.clone() if isinstance(value, torch.Tensor) else value)
    return out


def in_output_size(x: Instances, item: dict[str, Any]) -> Instances:
    """What postprocessing should make of it: the rule of the reference, image by image."""
    x = copied(x)
    boxes = x.get(box_name(x))
    boxes.scale(item["width"] / x.image_size[1], item["height"] / x.image_size[0])
    boxes.clip((item["height"], item["width"]))
    return x[boxes.nonempty()]


def assert_same(got: Instances, expected: Instances) -> None:
    assert len(got) == len(expected)
    name = box_name(expected)
    torch.testing.assert_close(got.get(name).tensor, expected.get(name).tensor, rtol=1e-5, atol=1e-3)
    for name, value in expected.get_fields().items():
        if name in ("scores", "pred_classes", "objectness_logits", "embedding"):
            torch.testing.assert_close(got.get(name), value)
        elif name == "names":
            assert got.names == value


def assert_parts_belong(x: Instances) -> None:
    """Masks lie in their boxes."""
    if not x.has("pred_masks"):
        return
    assert x.pred_masks.shape == (len(x), *x.image_size)
    for mask, (x0, y0, x1, y1) in zip(x.pred_masks, x.pred_boxes.tensor.tolist(), strict=True):
        rows, columns = mask.nonzero().unbind(1)
        if len(rows):
            assert rows.min() >= y0 - 1
            assert rows.max() <= y1 + 1
            assert columns.min() >= x0 - 1
            assert columns.max() <= x1 + 1


def part(model: nn.Module, where: str) -> nn.Module:
    return model.get_submodule(where)
