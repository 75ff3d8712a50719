"""Operations, activations and parameters, against sums by hand and numbers that detectron2 has."""

import pytest
import torch
from torch import nn

from lazycfg import instantiate, model_zoo
from lazycfg.layers import DeformConv
from lazycfg.utils.analysis import (
    activation_count_operators,
    count_operators,
    find_unused_parameters,
    flop_count_operators,
    parameter_count,
    parameter_count_table,
)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.head = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 2))
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        y = self.head(self.conv(x).mean(dim=(2, 3)))
        return {"loss": y.sum()} if self.training else y


def test_sums_by_hand():
    model = Small()
    found = count_operators(model, torch.rand(2, 3, 16, 16))
    conv, linear = 2 * 8 * 8 * 8 * 27, 2 * (8 * 5 + 5 * 2)
    assert found.multiply_adds[""] == {"conv": conv, "linear": linear}
    assert found.multiply_adds["conv"] == {"conv": conv}
    assert found.multiply_adds["head.2"] == {"linear": 2 * 10}
    assert found.activations[""] == {"conv": 2 * 8 * 8 * 8, "linear": 2 * 7}
    assert found.activations["head"] == {"linear": 2 * 7}
    assert flop_count_operators(model, torch.rand(2, 3, 16, 16))["conv"] == conv / 1e9
    assert activation_count_operators(model, (torch.rand(2, 3, 16, 16),))["linear"] == 14 / 1e6
    assert model.training


def test_operators_that_the_counter_of_pytorch_does_not_know():
    class Deformed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = DeformConv(3, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(x, torch.zeros(len(x), 18, *x.shape[2:]))

    found = count_operators(Deformed(), torch.rand(1, 3, 8, 8))
    assert found.multiply_adds[""] == {"deform_conv": 64 * 4 * 27}
    assert found.activations["conv"] == {"deform_conv": 64 * 4}


def test_attention():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.rand(1, 2, 6, 4)
    found = count_operators(Attention(), x)
    assert sum(found.multiply_adds[""].values()) == 2 * 2 * 6 * 6 * 4


def test_a_model_of_nothing():
    found = count_operators(nn.Identity(), torch.rand(1))
    assert (found.multiply_adds, found.activations) == ({"": {}}, {"": {}})
    assert parameter_count(nn.Identity()) == {"": 0}
    assert "model  0" in parameter_count_table(nn.Identity())


# As its tests have them: billions of multiply-adds in convolutions of an 800 x 800 image, parameters.
REFERENCE = {
    "COCO-Detection/retinanet_R_50_FPN_1x.py": (146, 37915572, 31452352),
    "COCO-Detection/faster_rcnn_R_50_FPN_1x.py": (117, 41699936, 26799296),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_numbers_of_the_reference(name):
    conv, total, backbone = REFERENCE[name]
    with torch.device("meta"):
        model = instantiate(model_zoo.get_config(name).model)
    counts = parameter_count(model)
    assert (counts[""], counts["backbone"]) == (total, backbone)
    table = parameter_count_table(model, max_depth=2).splitlines()
    assert table[1].split() == ["model", f"{total / 1e6:.3g}M"]
    assert any(line.startswith("    backbone.bottom_up ") for line in table)
    assert not any(line.startswith("      ") for line in table)
    # The convolutions see no values: features on the meta device take as many operations.
    shapes = {"backbone": torch.empty(1, 3, 800, 800, device="meta")}
    operations = flop_count_operators(model.backbone, shapes["backbone"])["conv"]
    features = list(model.backbone(shapes["backbone"]).values())
    head = model.head if hasattr(model, "head") else model.proposal_generator.rpn_head
    operations += flop_count_operators(head, features)["conv"]
    assert int(operations) == conv


def test_parameters_without_a_gradient():
    model = Small().eval()
    assert find_unused_parameters(model, torch.rand(1, 3, 8, 8)) == ["spare.weight", "spare.bias"]
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    model.spare.requires_grad_(False)
    assert find_unused_parameters(model, torch.rand(1, 3, 8, 8)) == []

    class Wrong(nn.Module):
        def forward(self, x):
            return "no loss"

    with pytest.raises(ValueError, match="returned str, not a loss"):
        find_unused_parameters(Wrong(), 1)


def test_shared_parameters_count_once():
    model = nn.ModuleDict({"a": nn.Linear(3, 3)})
    model["b"] = model["a"]
    assert parameter_count(model)[""] == 12
    table = parameter_count_table(model)
    assert "(3, 3)" in table
