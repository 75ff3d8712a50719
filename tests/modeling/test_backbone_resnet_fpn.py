"""ResNet and the feature pyramid: names, shapes, freezing, errors."""

import pytest
import torch

from lazycfg.layers import FrozenBatchNorm2d, ShapeSpec
from lazycfg.modeling import (
    FPN,
    BasicBlock,
    BasicStem,
    BottleneckBlock,
    DeformBottleneckBlock,
    LastLevelMaxPool,
    LastLevelP6P7,
    ResNet,
)


def resnet(depth: int = 18, **kwargs) -> ResNet:
    return ResNet(BasicStem(norm="FrozenBN"), ResNet.make_default_stages(depth, norm="FrozenBN"), **kwargs)


@pytest.mark.parametrize(("depth", "channels"), [(18, [64, 128, 256, 512]), (50, [256, 512, 1024, 2048])])
def test_maps(depth: int, channels: list[int]) -> None:
    names = ["stem", "res2", "res3", "res4", "res5"]
    model = resnet(depth, out_features=names)
    shapes = model.output_shape()
    assert [shapes[n].channels for n in names] == [64, *channels]
    assert [shapes[n].stride for n in names] == [4, 4, 8, 16, 32]
    maps = model(torch.zeros(1, 3, 64, 96))
    for name, m in maps.items():
        assert m.shape == (1, shapes[name].channels, 64 // shapes[name].stride, 96 // shapes[name].stride)


def test_stages_that_no_output_needs_are_left_out() -> None:
    model = resnet(out_features=["res3"])
    assert model.stage_names == ("res2", "res3")
    assert not any("res4" in key for key in model.state_dict())


def test_classifier() -> None:
    model = resnet(num_classes=7)
    assert model(torch.zeros(2, 3, 32, 32))["linear"].shape == (2, 7)
    assert model.output_shape() == {}


def test_freezing_stops_parameters_and_statistics() -> None:
    stages = ResNet.make_default_stages(18, norm="BN")
    model = ResNet(BasicStem(norm="BN"), stages, freeze_at=2)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(name.startswith(("stem", "res2")) for name in trainable)
    assert any(name.startswith("res3") for name in trainable)
    assert isinstance(model.stem.conv1.norm, FrozenBatchNorm2d)
    assert isinstance(model.res2[0].conv1.norm, FrozenBatchNorm2d)
    assert isinstance(model.res3[0].conv1.norm, torch.nn.BatchNorm2d)


def test_stage_with_a_value_for_each_block() -> None:
    blocks = ResNet.make_stage(
        BottleneckBlock,
        3,
        stride_per_block=[2, 1, 1],
        dilation_per_block=[1, 2, 4],
        in_channels=8,
        out_channels=16,
        bottleneck_channels=4,
        num_groups=2,
    )
    assert [block.conv2.dilation for block in blocks] == [(1, 1), (2, 2), (4, 4)]
    assert torch.nn.Sequential(*blocks)(torch.zeros(2, 8, 16, 16)).shape == (2, 16, 8, 8)


def test_resnext() -> None:
    stages = ResNet.make_default_stages(50, num_groups=32, width_per_group=4, norm="FrozenBN")
    assert [stage[1].conv2.weight.shape[:2] for stage in stages] == [
        (128, 4),
        (256, 8),
        (512, 16),
        (1024, 32),
    ]
    assert {stage[1].conv2.groups for stage in stages} == {32}
    assert [stage[-1].out_channels for stage in stages] == [256, 512, 1024, 2048]


def test_dilated_last_stage_keeps_the_resolution() -> None:
    model = ResNet(
        BasicStem(), ResNet.make_default_stages(50, res5_dilation=2), out_features=["res4", "res5"]
    )
    assert {spec.stride for spec in model.output_shape().values()} == {16}
    assert {block.conv2.dilation for block in model.res5} == {(2, 2)}
    assert {block.conv2.dilation for block in model.res4} == {(1, 1)}


def test_deformable_stages() -> None:
    stages = ResNet.make_default_stages(
        50, deform_on_per_stage=[False, True, False, True], deform_modulated=True, deform_num_groups=2
    )
    kinds = [{type(block) for block in stage} for stage in stages]
    assert kinds == [{BottleneckBlock}, {DeformBottleneckBlock}, {BottleneckBlock}, {DeformBottleneckBlock}]
    assert stages[3][0].conv2_offset.out_channels == 2 * 27


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNet.make_default_stages(18, width_per_group=8), "depths from 50"),
        (lambda: ResNet.make_default_stages(50, res5_dilation=3), "res5_dilation 1, 2 or 4"),
        (lambda: ResNet.make_default_stages(50, deform_on_per_stage=[True]), "needs 4 values"),
        (lambda: resnet(out_features=["res6"]), "res6"),
        (lambda: resnet(out_features=["ras3"]), "res3"),
        (lambda: ResNet.make_default_stages(51), "101"),
        (
            lambda: ResNet.make_stage(BasicBlock, 2, in_channels=4, out_channels=4, stride_per_block=[1]),
            "2 blocks",
        ),
        (
            lambda: ResNet.make_stage(
                BasicBlock, 1, in_channels=4, out_channels=4, stride=1, stride_per_block=[1]
            ),
            "both",
        ),
        (lambda: FPN(resnet(), ["res5", "res9"], 8), "res9"),
        (lambda: FPN(resnet(out_features=["res2", "res4"]), ["res2", "res4"], 8), "double"),
        (lambda: FPN(resnet(), ["res5"], 8, fuse_type="max"), "fuse_type"),
    ],
)
def test_mistakes(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("fuse_type", ["sum", "avg"])
@pytest.mark.parametrize("norm", ["", "GN"])
def test_pyramid(fuse_type: str, norm: str) -> None:
    bottom_up = resnet(out_features=["res3", "res4", "res5"])
    model = FPN(
        bottom_up,
        ["res3", "res4", "res5"],
        32,
        norm=norm,
        top_block=LastLevelP6P7(512, 32, in_feature="res5"),
        fuse_type=fuse_type,
        square_pad=128,
    )
    assert model.size_divisibility == 32
    assert model.padding_constraints["square_size"] == 128
    assert model.output_shape()["p7"] == ShapeSpec(channels=32, stride=128)
    maps = model(torch.randn(2, 3, 128, 128))
    assert [m.shape[-1] for m in maps.values()] == [16, 8, 4, 2, 1]
    assert list(maps) == ["p3", "p4", "p5", "p6", "p7"]
    assert any(key.endswith("norm.weight") and "fpn" in key for key in model.state_dict()) == (norm == "GN")


def test_pooled_top_level() -> None:
    model = FPN(resnet(), ["res5"], 8, top_block=LastLevelMaxPool())
    maps = model(torch.randn(1, 3, 64, 64))
    assert torch.equal(maps["p6"], maps["p5"][..., ::2, ::2])
