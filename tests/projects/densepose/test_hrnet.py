"""HRNet and HRFPN: shapes, odd sizes, what is refused, published weights."""

from pathlib import Path

import pytest
import torch
import torch._dynamo
import torch.nn.functional as F

from lazycfg import LazyConfig, instantiate
from lazycfg.checkpoint import load_weights
from lazycfg.projects import densepose
from lazycfg.projects.densepose import HRFPN, PoseHigherResolutionNet
from lazycfg.projects.densepose.modeling.hrnet import HighResolutionModule

CONFIGS = Path(densepose.__file__).parent / "configs"


def small_net(**kwargs) -> PoseHigherResolutionNet:
    torch.manual_seed(0)
    return PoseHigherResolutionNet(width=4, num_modules=(1, 2, 1), num_blocks=1, **kwargs)


def small_pyramid(levels: int = 5) -> HRFPN:
    return HRFPN(small_net(), ["p1", "p2", "p3", "p4"], n_out_features=levels, out_channels=8)


@pytest.mark.parametrize("size", [(64, 96), (75, 101), (33, 50)])
def test_branches_of_any_size(size: tuple[int, int]) -> None:
    net = small_net().eval()
    with torch.no_grad():
        maps = net(torch.randn(2, 3, *size))
    shapes = net.output_shape()
    assert list(maps) == ["p1", "p2", "p3", "p4"] == list(shapes)
    for name, own in maps.items():
        stride = shapes[name].stride
        assert own.shape == (2, shapes[name].channels, -(-size[0] // stride), -(-size[1] // stride))
    assert [s.channels for s in shapes.values()] == [4, 8, 16, 32]
    assert [s.stride for s in shapes.values()] == [4, 8, 16, 32]


def test_an_exchange_adds_up_the_branches() -> None:
    torch.manual_seed(0)
    module = HighResolutionModule([4, 8, 16], num_blocks=1).eval()
    x = [torch.randn(1, 4 * 2**k, 20 // 2**k, 12 // 2**k) for k in range(3)]
    with torch.no_grad():
        own = [branch(y) for branch, y in zip(module.branches, x, strict=True)]
        to = [
            [own[j] if i == j else module.fuse_layers[i][str(j)](own[j]) for j in range(3)] for i in range(3)
        ]
        for out, parts in zip(module(x), to, strict=True):
            torch.testing.assert_close(out, F.relu(sum(parts)))
    down = module.fuse_layers[2]["0"]
    assert [len(step) for step in down] == [3, 2]  # no ReLU before the sum


def test_the_pyramid_pools_one_map() -> None:
    pyramid = small_pyramid().eval()
    with torch.no_grad():
        maps = pyramid(torch.randn(1, 3, 192, 256))
    # transposed convolutions without padding leave 44 x 60 cells, of which whole cells of p5 are kept
    expected = {f"p{k + 1}": (1, 8, 32 // 2**k, 48 // 2**k) for k in range(5)}
    assert {name: tuple(own.shape) for name, own in maps.items()} == expected
    assert [s.stride for s in pyramid.output_shape().values()] == [4, 8, 16, 32, 64]


def test_an_image_that_is_too_small_is_refused() -> None:
    pyramid = small_pyramid().eval()
    with torch.no_grad():
        pyramid(torch.randn(1, 3, 96, 96))
        with pytest.raises(ValueError, match=r"an image of \(48, 96\) is too small for 5 levels"):
            pyramid(torch.randn(1, 3, 48, 96))
        small_pyramid(levels=3).eval()(torch.randn(1, 3, 48, 96))


@pytest.mark.parametrize("names", [[], ["p1", "p9"], ["p1", "p3"]])
def test_maps_that_do_not_fit_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="HRFPN"):
        HRFPN(small_net(), names)


def test_every_parameter_is_trained() -> None:
    pyramid = small_pyramid()
    images = torch.randn(2, 3, 96, 128)
    sum(own.square().mean() for own in pyramid(images).values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in pyramid.parameters())
    with torch.device("meta"):
        assert small_pyramid()(torch.empty(2, 3, 96, 128))["p5"].shape[:2] == (2, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert all(torch.isfinite(own).all() for own in pyramid(images).values())


@pytest.mark.slow
def test_it_is_compiled_whole() -> None:
    torch._dynamo.reset()
    explained = torch._dynamo.explain(small_pyramid().eval())(torch.randn(2, 3, 96, 128))
    assert explained.graph_break_count == 0, explained.break_reasons
    torch._dynamo.reset()


def test_keys_are_those_of_the_published_weights() -> None:
    with torch.device("meta"):
        keys = list(PoseHigherResolutionNet(width=40).state_dict())
    assert len(keys) == 1956 - 126  # of the classifier
    assert sum(key.startswith("stage") for key in keys) == 1716


def test_weights_of_hrnet_are_loaded_into_the_backbone(tmp_path: Path) -> None:
    """As published: without a prefix, and with a classifier that is of no use here."""
    model = torch.nn.ModuleDict({"backbone": small_pyramid()})
    source = small_net()
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    classifier = {
        f"{name}.weight": torch.zeros(3)
        for name in ("incre_modules.0.0.bn1", "downsamp_modules.0.1", "final_layer.1", "classifier")
    }
    torch.save(source.state_dict() | classifier, tmp_path / "hrnet_w32.pth")
    train = LazyConfig.load(CONFIGS / "HRNet/densepose_rcnn_HRFPN_HRNet_w32_s1x.py").train
    load_weights(model, tmp_path / "hrnet_w32.pth", ignore=list(train.init_ignore))
    loaded = model["backbone"].bottom_up.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in source.state_dict().items())


def test_the_configs_differ_in_width() -> None:
    for width in (32, 40, 48):
        name = f"HRNet/densepose_rcnn_HRFPN_HRNet_w{width}_s1x.py"
        with torch.device("meta"):
            backbone = instantiate(LazyConfig.load(CONFIGS / name).model.backbone)
        assert backbone.bottom_up.output_shape()["p1"].channels == width
