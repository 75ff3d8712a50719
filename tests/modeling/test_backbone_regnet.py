import pytest
import torch
from torch import nn

from lazycfg.layers import FrozenBatchNorm2d
from lazycfg.modeling.backbone import AnyNet, RegNet
from lazycfg.modeling.backbone.regnet import (
    ResBasicBlock,
    ResBottleneckBlock,
    ResStem,
    SimpleStem,
    VanillaBlock,
    adjust_block_compatibility,
    generate_regnet_parameters,
)


def anynet(**kwargs):
    defaults = {
        "stem_class": SimpleStem,
        "stem_width": 8,
        "block_class": ResBottleneckBlock,
        "depths": [1, 2],
        "widths": [8, 16],
        "group_widths": [4, 8],
        "strides": [2, 2],
        "bottleneck_ratios": [1.0, 1.0],
        "se_ratio": 0.25,
    }
    return AnyNet(**defaults | kwargs)


@pytest.mark.parametrize(
    ("rule", "group", "widths", "depths"),
    [
        ((38.65, 96, 2.43, 23), 40, [80, 240, 560, 1360], [2, 5, 14, 2]),  # X-4.0GF, table 5 of the paper
        ((31.41, 96, 2.24, 22), 64, [128, 192, 512, 1088], [2, 6, 12, 2]),  # Y-4.0GF
        ((69.86, 320, 2.0, 23), 168, [336, 672, 1344, 2520], [2, 7, 13, 1]),  # X-32GF
    ],
)
def test_published_widths_follow_from_their_rules(rule, group, widths, depths):
    ws, ds = generate_regnet_parameters(*rule)[:2]
    n = len(ws)
    assert ds == depths
    assert adjust_block_compatibility(ws, [1.0] * n, [group] * n)[0] == widths


def test_a_rule_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="w_m=1"):
        generate_regnet_parameters(10.0, 96, 1.0, 5)
    with pytest.raises(ValueError, match="positive"):
        adjust_block_compatibility([0], [1.0], [8])


@pytest.mark.parametrize("block", [VanillaBlock, ResBasicBlock, ResBottleneckBlock])
@pytest.mark.parametrize("stem", [SimpleStem, ResStem])
def test_every_block_and_stem_gives_the_promised_maps(block, stem):
    model = anynet(block_class=block, stem_class=stem, out_features=["stem", "s1", "s2"])
    maps = model(torch.rand(2, 3, 64, 96))
    specs = model.output_shape()
    assert list(maps) == ["stem", "s1", "s2"]
    for name, y in maps.items():
        assert y.shape == (2, specs[name].channels, 64 // specs[name].stride, 96 // specs[name].stride)


def test_bottleneck_width_and_groups():
    model = anynet(bottleneck_ratios=[1.0, 0.5], se_ratio=0.0)
    transform = model.s2.b1.f
    assert transform.b.weight.shape == (8, 8, 3, 3)
    assert transform.b.groups == 1
    assert transform.se is None
    assert anynet().s2.b1.f.se.f_ex[0].out_channels == 2  # a quarter of the block's input


def test_freezing_from_the_stem_on():
    model = anynet(freeze_at=2)
    trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"s2"}
    assert isinstance(model.stem.bn, FrozenBatchNorm2d)
    assert isinstance(model.s2.b1.f.a_bn, nn.BatchNorm2d)


def test_the_last_stage_is_returned_by_default_and_wrong_names_are_refused():
    assert list(anynet()(torch.rand(1, 3, 32, 32))) == ["s2"]
    with pytest.raises(ValueError, match="no 's3'"):
        anynet(out_features=["s3"])


def test_regnet_on_meta_and_in_one_graph():
    def make():
        return RegNet(
            stem_class=SimpleStem,
            stem_width=8,
            block_class=ResBottleneckBlock,
            depth=5,
            w_a=8.0,
            w_0=8,
            w_m=2.0,
            group_width=8,
            se_ratio=0.25,
            norm="FrozenBN",
        )

    with torch.device("meta"):
        meta = make()
    assert all(t.is_meta for t in meta.state_dict().values())
    torch._dynamo.reset()
    model = make().eval().to(memory_format=torch.channels_last)
    x = torch.rand(1, 3, 50, 70)
    with torch.no_grad():
        expected = model(x)
        compiled = torch.compile(model, backend="eager", fullgraph=True)(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(x.to(memory_format=torch.channels_last))
    for name, y in expected.items():
        torch.testing.assert_close(compiled[name], y)
        assert (rough[name].float() - y).norm() < 0.05 * y.norm()
