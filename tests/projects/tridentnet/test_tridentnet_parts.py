"""The parts of TridentNet: branches that share weights, and what becomes of them."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_trident import small_model
from tiny_rcnn import make_batch

from lazycfg import instantiate, model_zoo
from lazycfg.layers import get_norm
from lazycfg.modeling import BottleneckBlock, ResNet
from lazycfg.projects.tridentnet import (
    TridentBottleneckBlock,
    TridentConv,
    make_trident_resnet_stages,
    merge_branch_instances,
)
from lazycfg.structures import Boxes, Instances, pairwise_iou
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage


def test_branches_share_weight_bias_and_norm() -> None:
    torch.manual_seed(0)
    conv = TridentConv(
        4, 6, 3, stride=2, paddings=(1, 2, 3), dilations=(1, 2, 3), groups=2, num_branch=3, bias=True,
        norm=get_norm("FrozenBN", 6), activation=F.relu, test_branch_idx=1,
    )  # fmt: skip
    torch.nn.init.normal_(conv.bias)
    maps = [torch.randn(2, 4, 9, 8) for _ in range(3)]
    out = conv(maps)
    for i, (x, y) in enumerate(zip(maps, out, strict=True), start=1):
        expected = F.conv2d(x, conv.weight, conv.bias, stride=2, padding=i, dilation=i, groups=2)
        torch.testing.assert_close(y, F.relu(conv.norm(expected)))
    torch.testing.assert_close(conv.eval()(maps[1:2])[0], out[1])
    assert conv([maps[0][:0]])[0].shape == (0, 6, 5, 4)
    assert set(conv.state_dict()) == {"weight", "bias", *(f"norm.{k}" for k in conv.norm.state_dict())}
    with pytest.raises(ValueError, match="computes 1 branches, but is given 3 maps"):
        conv(maps)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"paddings": (1, 2)}, "2 values for 3 branches"),
        ({"dilations": (1, 2, 3, 4)}, "4 values for 3 branches"),
        ({"test_branch_idx": 3}, "test_branch_idx is one of the branches 0 ... 2"),
        ({"num_branch": 0}, "num_branch is at least 1"),
        ({"groups": 3}, "groups"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TridentConv(4, 4, 3, **{"num_branch": 3, **options})


@pytest.mark.parametrize("stride_in_1x1", [True, False])
def test_a_branch_of_dilation_1_is_a_bottleneck_block(stride_in_1x1: bool) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"bottleneck_channels": 4, "stride": 2, "norm": "FrozenBN"}
    options |= {"in_channels": 8, "out_channels": 12, "stride_in_1x1": stride_in_1x1}
    (plain,) = ResNet.make_stage(BottleneckBlock, 1, **options)
    block = TridentBottleneckBlock(**options)
    block.load_state_dict(plain.state_dict())
    x = torch.randn(2, 8, 10, 10)
    out = block(x)
    torch.testing.assert_close(out[0], plain(x))
    # a tensor goes to all branches
    torch.testing.assert_close(out, block([x, x, x]))
    together = TridentBottleneckBlock(**options, concat_output=True)
    together.load_state_dict(plain.state_dict())
    torch.testing.assert_close(together(x), torch.cat(out))
    fast = TridentBottleneckBlock(**options, test_branch_idx=2).eval()
    fast.load_state_dict(plain.state_dict())
    torch.testing.assert_close(fast(x)[0], out[2])


def resnet50() -> Any:
    return instantiate(model_zoo.get_config("COCO-Detection/faster_rcnn_R_50_C4_1x.py").model.backbone)


def test_weights_of_a_resnet_load() -> None:
    plain = resnet50().state_dict()
    stages = make_trident_resnet_stages(50, stride_in_1x1=True, norm="FrozenBN")
    trident = ResNet(stem=resnet50().stem, stages=stages, out_features=["res4"]).state_dict()
    assert {k: v.shape for k, v in trident.items()} == {k: v.shape for k, v in plain.items()}
    with pytest.raises(ValueError, match="did you mean 'res4'"):
        make_trident_resnet_stages(50, trident_stage="rez4")
    with pytest.raises(ValueError, match="depth is at least 50"):
        make_trident_resnet_stages(34)


def detections(n: int, seed: int) -> Instances:
    generator = torch.Generator().manual_seed(seed)
    corner, size = (torch.rand(n, 2, generator=generator) for _ in range(2))
    boxes = torch.cat((corner * 40, corner * 40 + 10 + size * 30), dim=1)
    return Instances(
        (80, 80),
        pred_boxes=Boxes(boxes),
        scores=torch.rand(n, generator=generator),
        pred_classes=torch.randint(0, 2, (n,), generator=generator),
        pred_masks=torch.rand(n, 1, 4, 4, generator=generator),
    )


def greedy(found: Instances, thresh: float, topk: int) -> list[int]:
    kept: list[int] = []
    overlap = pairwise_iou(found.pred_boxes, found.pred_boxes)
    for i in found.scores.argsort(descending=True).tolist():
        same = [j for j in kept if found.pred_classes[j] == found.pred_classes[i]]
        if all(overlap[i, j] <= thresh for j in same):
            kept.append(i)
    return kept[:topk]


def test_merging_is_one_nms_of_each_class_of_each_image() -> None:
    counts = [20, 0, 7, 15, 0, 9]  # two images of each of three branches, ... and one with nothing
    branches = [detections(n, seed) for seed, n in enumerate(counts)]
    with SyncCounter() as counter:
        merged = merge_branch_instances(branches, 3, 0.5, 12)
    assert counter.num_syncs == 1, counter.waits()
    for image, result in enumerate(merged):
        together = Instances.cat(branches[image::2])
        expected = together[torch.tensor(greedy(together, 0.5, 12))]
        for name, value in expected.get_fields().items():
            got = result.get(name)
            if name == "pred_boxes":
                got, value = got.tensor, value.tensor
            assert torch.equal(got, value), name
    nothing = merge_branch_instances([detections(0, 0)] * 3, 3, 0.5, 12)
    assert [len(x) for x in nothing] == [0]
    assert nothing[0].has("pred_masks")
    assert merge_branch_instances([], 3, 0.5, 12) == []
    with pytest.raises(ValueError, match="5 Instances of 3 branches"):
        merge_branch_instances(branches[:5], 3, 0.5, 12)


def test_losses_are_means_over_the_branches() -> None:
    # with branches that are all alike, one branch gives the same losses
    losses = {}
    for number in (1, 3):
        model = small_model(
            f"backbone.stages.2.num_branch={number}",
            f"backbone.stages.2.dilations={[1] * number}",
            "backbone.stages.2.test_branch_idx=0",
            "roi_heads.batch_size_per_image=1000",
            "proposal_generator.batch_size_per_image=10000",
        ).train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        with EventStorage(0):
            losses[number] = model(make_batch(2, "none", empty=(1,)))
    for name, value in losses[1].items():
        torch.testing.assert_close(losses[3][name], value, msg=name)
