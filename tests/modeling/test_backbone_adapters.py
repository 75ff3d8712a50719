from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from lazycfg.layers import FrozenBatchNorm2d, ShapeSpec
from lazycfg.modeling.backbone import FPN, MMDetBackbone, TimmBackbone, TorchvisionBackbone, TorchvisionTrunk

STAGES = {"layer1": "res2", "layer2": "res3", "layer3": "res4", "layer4": "res5"}


def test_torchvision_resnet_under_a_pyramid():
    net = torchvision.models.resnet18(norm_layer=FrozenBatchNorm2d)
    body = TorchvisionBackbone(model=net, out_features=STAGES)
    assert {n: (s.channels, s.stride) for n, s in body.output_shape().items()} == {
        "res2": (64, 4),
        "res3": (128, 8),
        "res4": (256, 16),
        "res5": (512, 32),
    }
    x = torch.rand(2, 3, 64, 96)
    maps = body(x)
    expected = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    torch.testing.assert_close(maps["res2"], net.layer1(expected))
    assert "model.layer4.1.conv2.weight" in body.state_dict()
    assert not [k for k in body.state_dict() if "fc" in k]
    pyramid = FPN(bottom_up=body, in_features=list(maps), out_channels=16)
    assert [y.shape[-1] for y in pyramid(x).values()] == [24, 12, 6, 3]


def test_torchvision_maps_with_channels_last_are_turned():
    with torch.device("meta"):
        net = torchvision.models.swin_t()
    body = TorchvisionBackbone(model=net, out_features=["features.1", "features.7"])
    shapes = {n: (s.channels, s.stride) for n, s in body.output_shape().items()}
    assert shapes == {"features.1": (96, 4), "features.7": (768, 32)}
    y = body(torch.rand(1, 3, 64, 96, device="meta"))
    assert [tuple(t.shape) for t in y.values()] == [(1, 96, 16, 24), (1, 768, 2, 3)]


def test_measuring_leaves_the_mode_and_statistics_alone():
    net = torchvision.models.resnet18()
    body = TorchvisionBackbone(model=net, out_features=["layer1"])
    assert body.training
    assert body.model.get_submodule("layer1.0.bn1").num_batches_tracked == 0


def test_torchvision_names_that_are_not_there():
    net = torchvision.models.resnet18()
    with pytest.raises(ValueError, match=r"no module 'layr4'.*layer4"):
        TorchvisionBackbone(model=net, out_features=["layr4"])
    with pytest.raises(ValueError, match="'flatten' is no feature map"):
        TorchvisionBackbone(model=net, out_features=["flatten"])


class Pyramidal(nn.Module):
    """What a timm model made with features_only=True looks like from outside."""

    output_fmt = "Format.NHWC"

    def __init__(self, strides=(4, 8)):
        super().__init__()
        self.feature_info = SimpleNamespace(
            channels=lambda: [3] * len(strides), reduction=lambda: list(strides)
        )
        self.strides = strides

    def forward(self, x):
        return [x[:, :, ::s, ::s].permute(0, 2, 3, 1) for s in self.strides]


def test_timm_maps_are_named_by_stride_and_turned():
    body = TimmBackbone(model=Pyramidal())
    assert {n: (s.channels, s.stride) for n, s in body.output_shape().items()} == {
        "res2": (3, 4),
        "res3": (3, 8),
    }
    assert [tuple(y.shape) for y in body(torch.rand(1, 3, 32, 64)).values()] == [(1, 3, 8, 16), (1, 3, 4, 8)]
    assert list(TimmBackbone(model=Pyramidal(), out_features=["a", "b"]).output_shape()) == ["a", "b"]


def test_timm_models_that_cannot_serve():
    with pytest.raises(TypeError, match="features_only=True"):
        TimmBackbone(model=nn.Linear(1, 1))
    with pytest.raises(ValueError, match="name each"):
        TimmBackbone(model=Pyramidal(strides=(16, 16)))


def test_a_real_timm_model():
    timm = pytest.importorskip("timm")
    body = TimmBackbone(model=timm.create_model("convnext_atto", features_only=True))
    specs = body.output_shape()
    for name, y in body(torch.rand(1, 3, 64, 64)).items():
        assert y.shape == (1, specs[name].channels, 64 // specs[name].stride, 64 // specs[name].stride)


class Tuples(nn.Module):
    """Maps as mmdetection's networks give them."""

    def __init__(self, *strides, channels=3):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, channels, stride, stride) for stride in strides)

    def forward(self, x):
        return tuple(conv(x) for conv in self.convs)


class Neck(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)

    def forward(self, maps):
        assert isinstance(maps, tuple)
        return tuple(self.conv(x) for x in maps)


def test_mmdetection_maps_get_names():
    shapes = [ShapeSpec(channels=8, stride=4), ShapeSpec(channels=8, stride=8)]
    body = MMDetBackbone(backbone=Tuples(4, 8), neck=Neck(), output_shapes=shapes, size_divisibility=8)
    assert body.output_shape() == {"out0": shapes[0], "out1": shapes[1]}
    assert body.size_divisibility == 8
    maps = body(torch.rand(1, 3, 32, 16))
    assert {name: tuple(x.shape) for name, x in maps.items()} == {"out0": (1, 8, 8, 4), "out1": (1, 8, 4, 2)}
    assert {key.split(".")[0] for key in body.state_dict()} == {"backbone", "neck"}
    named = MMDetBackbone(
        backbone=Tuples(4), output_shapes=[ShapeSpec(channels=3, stride=4)], output_names=["res2"]
    )
    pyramid = FPN(bottom_up=named, in_features=["res2"], out_channels=4)
    assert pyramid(torch.rand(1, 3, 16, 16))["p2"].shape == (1, 4, 4, 4)


def test_mmdetection_networks_that_cannot_serve():
    shape = ShapeSpec(channels=3, stride=4)
    with pytest.raises(ValueError, match="as many output_names"):
        MMDetBackbone(backbone=Tuples(4), output_shapes=[shape], output_names=["a", "b"])
    with pytest.raises(ValueError, match="'out0' needs channels and a stride"):
        MMDetBackbone(backbone=Tuples(4), output_shapes=[ShapeSpec(channels=3)])
    with pytest.raises(ValueError, match="2 maps came out"):
        MMDetBackbone(backbone=Tuples(4, 8), output_shapes=[shape])(torch.rand(1, 3, 8, 8))


def test_a_trunk_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"'resnet50', expected one of mobilenet_v3_large, convnext_tiny"):
        TorchvisionTrunk(name="resnet50")
