import pytest
import torch
from torch import nn

from lazycfg.layers.batch_norm import LayerNorm as ChannelFirstLayerNorm
from lazycfg.solver import get_default_optimizer_params


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.gn = nn.GroupNorm(2, 4)
        self.ln = ChannelFirstLayerNorm(4)
        self.head = nn.Linear(4, 2)
        self.tied = self.head
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.pos_embed = nn.Parameter(torch.zeros(1, 4))


def settings_by_name(model, groups):
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {}
    for group in groups:
        for parameter in group["params"]:
            assert names[parameter] not in found, "a parameter is in two groups"
            found[names[parameter]] = {key: value for key, value in group.items() if key != "params"}
    return found


def test_without_rules_all_trainable_parameters_share_one_group():
    model = Net()
    (group,) = get_default_optimizer_params(model)
    assert set(group) == {"params"}
    expected = [p for p in model.parameters() if p.requires_grad]
    assert {id(p) for p in group["params"]} == {id(p) for p in expected}
    assert len(group["params"]) == len(expected)


def test_norm_layers_of_torch_get_their_own_weight_decay_and_ours_decay_as_published():
    model = Net()
    found = settings_by_name(
        model, get_default_optimizer_params(model, weight_decay=1e-4, weight_decay_norm=0.0)
    )
    norms = {name for name, settings in found.items() if settings["weight_decay"] == 0.0}
    assert norms == {f"{m}.{p}" for m in ("bn", "gn") for p in ("weight", "bias")}
    assert found["conv.bias"] == found["ln.weight"] == found["ln.bias"] == {"weight_decay": 1e-4}


def test_bias_rules_also_hold_in_norm_layers():
    model = Net()
    groups = get_default_optimizer_params(
        model,
        base_lr=0.1,
        weight_decay=1e-4,
        weight_decay_norm=0.5,
        bias_lr_factor=2.0,
        weight_decay_bias=0.0,
    )
    found = settings_by_name(model, groups)
    assert found["conv.weight"] == {"lr": 0.1, "weight_decay": 1e-4}
    assert found["conv.bias"] == {"lr": 0.2, "weight_decay": 0.0}
    assert found["bn.weight"] == {"lr": 0.1, "weight_decay": 0.5}
    assert found["bn.bias"] == {"lr": 0.2, "weight_decay": 0.0}
    assert len(groups) == 3


def test_lr_factor_func_and_overrides():
    model = Net()
    groups = get_default_optimizer_params(
        model,
        base_lr=1.0,
        lr_factor_func=lambda name: 0.5 if name.startswith("conv.") else 1.0,
        overrides={"pos_embed": {"weight_decay": 0.0}, "head.*": {"lr": 3.0}},
    )
    found = settings_by_name(model, groups)
    assert found["conv.weight"] == {"lr": 0.5}
    assert found["pos_embed"] == {"lr": 1.0, "weight_decay": 0.0}
    assert found["head.weight"] == {"lr": 3.0}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"bias_lr_factor": 2.0}, "base_lr"),
        ({"lr_factor_func": lambda name: 1.0}, "base_lr"),
        ({"weight_decay_bias": 0.0, "overrides": {"bias": {"weight_decay": 1.0}}}, "both given"),
        ({"overrides": {"pos_embde": {"weight_decay": 0.0}}}, "did you mean 'pos_embed'"),
    ],
)
def test_contradictions_are_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        get_default_optimizer_params(Net(), **kwargs)


def test_groups_feed_an_optimizer():
    groups = get_default_optimizer_params(Net(), weight_decay_norm=0.0)
    optimizer = torch.optim.SGD(groups, lr=0.02, momentum=0.9, weight_decay=1e-4)
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 1e-4]
