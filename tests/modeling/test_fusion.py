"""Folded batch normalisations: the same outputs, nothing to normalise left, everything else untouched."""

import copy

import pytest
import torch
import torchvision
from test_rcnn_heads import cascade
from tiny_rcnn import make_batch, tiny_config
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import (
    ASPP,
    Conv2d,
    CycleBatchNormList,
    DepthwiseSeparableConv2d,
    FrozenBatchNorm2d,
    ShapeSpec,
)
from lazycfg.model_zoo import get_config_file
from lazycfg.modeling import FPN, MaskRCNNConvUpsampleHead, RetinaNetHead, TorchvisionBackbone, fuse

NORMS = (FrozenBatchNorm2d, nn.modules.batchnorm._BatchNorm)


def settle(module):
    """Statistics as training would leave them: different in every channel."""
    torch.manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, NORMS) and norm.running_var is not None:
            with torch.no_grad():
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 1.5)
                if norm.weight is not None:
                    norm.weight.uniform_(0.5, 1.5)
                    norm.bias.normal_(0, 0.3)
    return module.eval()


def norms_of(module):
    return [m for m in module.modules() if isinstance(m, NORMS)]


def tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [t for value in values for t in tensors(value)]


def assert_same_outputs(module, *inputs):
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        expected = tensors(module(*inputs))
        fused = fuse(module)
        got = tensors(fused(*inputs))
    assert len(got) == len(expected) > 0
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert norms_of(module)
    assert fused is not module
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    return fused


def zoo(path, pick=lambda m: m.backbone, **options):
    model = LazyConfig.load(get_config_file(path)).model
    backbone = pick(model)
    for name, value in options.items():
        backbone.bottom_up.stages[name] = value
    return settle(instantiate(backbone))


BACKBONES = {
    "resnet": lambda: zoo("common/models/mask_rcnn_fpn.py"),
    "resnet, trained norms": lambda: zoo("common/models/mask_rcnn_fpn.py", norm="BN"),
    "resnext": lambda: zoo("common/models/retinanet.py", norm="SyncBN", num_groups=4),
    "c4": lambda: zoo("common/models/mask_rcnn_c4.py"),
    "deformable": lambda: zoo("common/models/mask_rcnn_fpn_dconv.py"),
    "modulated": lambda: zoo("common/models/mask_rcnn_fpn_dconv.py", deform_modulated=True),
    "regnetx": lambda: zoo("COCO-InstanceSegmentation/mask_rcnn_regnetx_4gf_dds_fpn_1x.py"),
    "regnety": lambda: zoo("COCO-InstanceSegmentation/mask_rcnn_regnety_4gf_dds_fpn_1x.py"),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_the_zoo(name):
    fused = assert_same_outputs(BACKBONES[name](), torch.randn(1, 3, 64, 96))
    assert norms_of(fused) == []
    assert not any(".norm." in key or "bn." in key for key in fused.state_dict())
    assert not any(p.requires_grad for p in fused.parameters())


def test_a_pyramid_with_norms_over_a_torchvision_network():
    model = torchvision.models.resnet18(norm_layer=FrozenBatchNorm2d)
    layers = {"layer1": "res2", "layer2": "res3", "layer3": "res4"}
    for network in (model, torchvision.models.mobilenet_v3_small()):
        names = layers if network is model else {"features.1": "res3", "features.3": "res4"}
        bottom_up = TorchvisionBackbone(model=network, out_features=names)
        in_features = sorted(bottom_up.output_shape())[-2:]
        pyramid = settle(FPN(bottom_up=bottom_up, in_features=in_features, out_channels=8, norm="BN"))
        fused = assert_same_outputs(pyramid, torch.randn(2, 3, 64, 64))
        assert norms_of(fused) == []
        fused.train()  # the other one of the two graphs
        fused.eval()


def test_heads_and_blocks():
    mask = MaskRCNNConvUpsampleHead(ShapeSpec(channels=8), num_classes=2, conv_dims=[8, 8, 8], conv_norm="BN")
    fused = fuse(settle(mask))
    x = torch.randn(3, 8, 7, 7)
    torch.testing.assert_close(fused.layers(x), mask.layers(x))
    assert norms_of(fused) == []
    separable = DepthwiseSeparableConv2d(8, 8, norm1="BN", norm2="BN")
    assert norms_of(assert_same_outputs(settle(separable), x)) == []
    aspp = ASPP(8, 8, [2, 3, 4], norm="BN", activation=nn.ReLU())
    assert norms_of(assert_same_outputs(settle(aspp), x)) == []


def test_norms_that_differ_between_levels_or_are_others_stay():
    shapes = [ShapeSpec(channels=8)] * 2
    options = {"num_classes": 2, "num_anchors": 1, "conv_dims": [8, 8]}
    maps = [torch.randn(1, 8, 9, 9), torch.randn(1, 8, 5, 5)]
    per_level = settle(RetinaNetHead(input_shape=shapes, norm="BN", **options))
    fused = assert_same_outputs(per_level, maps)
    assert sum(isinstance(m, CycleBatchNormList) for m in fused.modules()) == 4
    group = nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(2, 8), nn.BatchNorm2d(8))
    fused = assert_same_outputs(settle(group), maps[0])
    assert [type(m) for m in fused] == [nn.Conv2d, nn.GroupNorm, nn.BatchNorm2d]
    frozen = settle(RetinaNetHead(input_shape=shapes, norm="FrozenBN", **options))
    assert norms_of(assert_same_outputs(frozen, maps)) == []


def test_a_convolution_with_two_norms_keeps_both():
    conv = nn.Conv2d(4, 4, 1)
    both = nn.ModuleList([nn.Sequential(conv, nn.BatchNorm2d(4)), nn.Sequential(conv, nn.BatchNorm2d(4))])
    assert len(norms_of(fuse(settle(both)))) == 2
    unsettled = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    assert len(norms_of(fuse(unsettled))) == 1


@pytest.mark.parametrize("make", [tiny_config, cascade])
def test_whole_models(make):
    torch.manual_seed(0)
    model = settle(instantiate(make()))
    model.requires_grad_(True).train()
    fused = fuse(model)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not fused.training
    assert norms_of(fused) == []
    with torch.no_grad():
        for a, b in zip(fused(make_batch(2)), model.eval()(make_batch(2)), strict=True):
            a, b = a["instances"], b["instances"]
            assert len(a) == len(b) > 0
            torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-4, atol=1e-3)
            torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)
            assert (a.pred_masks != b.pred_masks).float().mean() < 1e-3


def test_in_place_keeps_the_module_and_its_memory_format():
    module = settle(nn.Sequential(nn.Conv2d(4, 8, 3, bias=False), nn.BatchNorm2d(8))).half()
    module.to(memory_format=torch.channels_last)
    conv = module[0]
    assert fuse(module, inplace=True) is module
    assert module[0] is conv
    assert conv.weight.dtype is conv.bias.dtype is torch.float16
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.device("meta"):
        assert norms_of(fuse(nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)))) == []


class NormFirst(Conv2d):
    def forward(self, x):
        return nn.functional.conv2d(self.norm(x), self.weight, self.bias)


def test_what_is_used_in_another_way_stays():
    first = NormFirst(4, 4, 1, norm=nn.BatchNorm2d(4))
    assert len(norms_of(assert_same_outputs(settle(first), torch.randn(1, 4, 3, 3)))) == 1
    scaled = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)), nn.BatchNorm2d(4))
    assert len(norms_of(assert_same_outputs(settle(scaled), torch.randn(1, 4, 3, 3)))) == 1
