"""How often each family waits for its device, and how many ops it takes: the same for 1, 2 and 8 images.

What may grow with the batch is little: views that hand out the results of each image (not counted), and some
ops when there are more than a thousand boxes on the host, or when images differ in size.
"""

from typing import Any

import pytest
import torch
from tiny_families import FAMILIES, family, make_inputs
from torch import nn

from lazycfg.structures import ImageList
from lazycfg.utils import SyncCounter

# waits in a training step (forward and losses), and in inference with postprocessing: for the proposals that
# are left, for those that are sampled, and for the foreground of masks or keypoints; for the candidates, for
# the sizes of boxes with keypoints, for boxes that become empty in the output, and two for the panoptic merge
BUDGET = {
    "mask": (3, 3),
    "faster": (2, 3),
    "cascade": (3, 3),
    "keypoint": (3, 4),
    "c4": (3, 3),
    "rpn": (1, 2),
    "retinanet": (0, 2),
    "fcos": (0, 2),
    "panoptic": (3, 5),
    "semantic": (0, 0),
}
SIZES = [(64, 96), (80, 64), (96, 96)]
# More boxes than the small kernel is for, other numbers of objects, other sizes: a fixed number of ops more
SLACK = 40


def count(model: nn.Module, batch: list[dict[str, Any]]) -> SyncCounter:
    with torch.set_grad_enabled(model.training):
        model(batch)  # anchors of a size are made once
        with SyncCounter() as counter:
            model(batch)
    return counter


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("name", FAMILIES)
def test_waits_and_ops(name: str, training: bool) -> None:
    model = family(name).train(training)
    counts = [count(model, make_inputs(n, name)) for n in (1, 2, 8)]
    assert [c.num_syncs for c in counts] == [BUDGET[name][not training]] * 3, [c.waits() for c in counts]
    # the panoptic merge takes as many steps as the image with most confident instances has
    steps = 10 * most_instances(model, 8) if name == "panoptic" and not training else 0
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= SLACK + steps, ops


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(
    ("name", "masks"),
    [("mask", "polygons"), ("mask", "bitmasks"), ("retinanet", ""), ("keypoint", ""), ("semantic", "")],
)
def test_images_of_different_sizes(name: str, masks: str, training: bool) -> None:
    """As many ops again as there are sizes: no more for 8 images of three sizes than for 3 of them."""
    model = family(name).train(training)
    counts = [count(model, make_inputs(n, name, masks, SIZES)) for n in (3, 8)]
    assert {c.num_syncs for c in counts} == {BUDGET[name][not training]}
    assert counts[1].num_ops - counts[0].num_ops <= SLACK, [c.num_ops for c in counts]


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_loops_over_images_on_the_device(name: str) -> None:
    """Convolutions are as many for 8 images as for one."""
    model = family(name).eval()
    convolutions = [count(model, make_inputs(n, name)).ops["aten.convolution"] for n in (1, 8)]
    assert convolutions[0] == convolutions[1] > 0


def most_instances(model: nn.Module, n: int) -> int:
    with torch.no_grad():
        outputs = model(make_inputs(n, "panoptic"))
    return max(sum(s["isthing"] for s in x["panoptic_seg"][1]) + len(x["instances"]) for x in outputs)


def test_panoptic_images_of_a_batch_equal_the_same_alone() -> None:
    model = family("panoptic").eval()
    model.combine_stuff_area_thresh, model.combine_instances_score_thresh = 100, 0.4
    batch = make_inputs(3, "panoptic", sizes=SIZES)
    with torch.no_grad():
        images = model.preprocess_image(batch)
        size = tuple(images.tensor.shape[-2:])
        together = model(batch)
        for item, out in zip(batch, together, strict=True):
            alone = alone_in_the_same_frame(model, item, size)
            # rounding may turn a pixel whose best classes are as good
            same = (alone["panoptic_seg"][0] == out["panoptic_seg"][0]).float().mean()
            assert same > 0.995
            assert [s["id"] for s in alone["panoptic_seg"][1]] == [s["id"] for s in out["panoptic_seg"][1]]
            assert out["panoptic_seg"][0].shape == (item["height"], item["width"])
            assert len(out["panoptic_seg"][1]) > 0


def alone_in_the_same_frame(model: nn.Module, item: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """One image, padded as it is in the batch."""
    images = model.preprocess_image([item])
    pad = (0, size[1] - images.tensor.shape[-1], 0, size[0] - images.tensor.shape[-2])
    framed = ImageList(nn.functional.pad(images.tensor, pad), images.image_sizes)
    model.preprocess_image = lambda _: framed
    try:
        return model([item])[0]
    finally:
        del model.preprocess_image
