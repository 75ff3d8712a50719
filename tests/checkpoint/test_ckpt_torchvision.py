"""torchvision's ResNets inside ours: the same weights must give the same features."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from lazycfg.checkpoint import load_weights
from lazycfg.modeling.backbone import BasicStem, ResNet


@pytest.mark.parametrize("depth", [18, 50])
def test_features_are_equal(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
    options = {"stride_in_1x1": False} if depth == 50 else {}
    ours = ResNet(
        stem=BasicStem(in_channels=3, out_channels=64, norm="FrozenBN"),
        stages=ResNet.make_default_stages(depth=depth, norm="FrozenBN", **options),
        out_features=["res2", "res3", "res4", "res5"],
    ).eval()
    report = load_weights(ours, theirs.state_dict())
    assert not report.problems
    assert not report.remarks

    image = torch.randn(1, 3, 64, 96)
    layers = {f"layer{i}": f"res{i + 1}" for i in range(1, 5)}
    with torch.no_grad():
        expected = create_feature_extractor(theirs, layers)(image)
        found = ours(image)
    for name, features in expected.items():
        torch.testing.assert_close(found[name], features, rtol=1e-4, atol=1e-5)
