"""Convolutions with norm and activation, normalisations, deformable convolution, ASPP."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lazycfg.layers import (
    ASPP,
    Conv2d,
    CycleBatchNormList,
    DeformConv,
    DepthwiseSeparableConv2d,
    FrozenBatchNorm2d,
    LayerNorm,
    ModulatedDeformConv,
    NaiveSyncBatchNorm,
    cat,
    cross_entropy,
    empty_input_loss_func_wrapper,
    get_norm,
)


def test_convolution_norm_activation_in_this_order() -> None:
    torch.manual_seed(0)
    conv = Conv2d(3, 32, 3, padding=1, bias=False, norm=get_norm("GN", 32), activation=F.relu)
    x = torch.randn(2, 3, 6, 6)
    expected = F.relu(F.group_norm(F.conv2d(x, conv.weight, padding=1), 32, conv.norm.weight, conv.norm.bias))
    torch.testing.assert_close(conv(x), expected)
    assert conv(x[:0]).shape == (0, 32, 6, 6)


@pytest.mark.parametrize(
    "name", ["BN", "FrozenBN", "GN", "SyncBN", "nnSyncBN", "naiveSyncBN", "naiveSyncBN_N", "LN"]
)
def test_norms_by_name(name: str) -> None:
    norm = get_norm(name, 32).eval()
    assert norm(torch.randn(2, 32, 4, 4)).shape == (2, 32, 4, 4)


def test_norms_by_other_means() -> None:
    assert get_norm("", 4) is None
    assert get_norm(None, 4) is None
    assert isinstance(get_norm(nn.InstanceNorm2d, 4), nn.InstanceNorm2d)
    with pytest.raises(ValueError, match="FrozenBN"):
        get_norm("FrozenBn", 4)


def test_frozen_norm_is_a_batch_norm_at_inference() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    norm(torch.randn(4, 5, 3, 3) * 3 + 1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    frozen = FrozenBatchNorm2d.convert_frozen_batchnorm(norm)
    assert not list(frozen.parameters())
    x = torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(frozen(x), norm.eval()(x))
    torch.testing.assert_close(frozen(x.requires_grad_()), norm(x))
    back = FrozenBatchNorm2d.convert_frozenbatchnorm2d_to_batchnorm2d(nn.Sequential(frozen))[0].eval()
    torch.testing.assert_close(back(x), norm(x))


def test_frozen_norm_loads_a_batch_norm_and_an_affine_only_file() -> None:
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(4, 3, 2, 2))
    frozen = FrozenBatchNorm2d(3)
    frozen.load_state_dict(norm.state_dict())
    assert torch.equal(frozen.running_var, norm.running_var)
    frozen.load_state_dict({"weight": torch.ones(3), "bias": torch.zeros(3)})
    assert torch.equal(frozen.running_mean, torch.zeros(3))


def test_naive_sync_norm_is_a_batch_norm_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 5)
    a, b = NaiveSyncBatchNorm(3), nn.BatchNorm2d(3)
    torch.testing.assert_close(a(x), b(x))
    with pytest.raises(ValueError, match="stats_mode"):
        NaiveSyncBatchNorm(3, stats_mode="M")


def test_cycled_norms_keep_statistics_apart() -> None:
    norms = CycleBatchNormList(2, num_features=3)
    first, second = torch.randn(2, 3, 4, 4) + 5, torch.randn(2, 3, 4, 4) - 5
    for _ in range(3):
        norms(first)
        norms(second)
    assert bool((norms[0].running_mean > 0).all())
    assert bool((norms[1].running_mean < 0).all())
    assert set(dict(norms.named_parameters())) == {"weight", "bias"}


def test_layer_norm_over_channels() -> None:
    torch.manual_seed(0)
    norm = LayerNorm(6)
    nn.init.normal_(norm.weight)
    x = torch.randn(2, 6, 3, 4)
    expected = F.layer_norm(x.permute(0, 2, 3, 1), (6,), norm.weight, norm.bias, norm.eps).permute(0, 3, 1, 2)
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("groups", [1, 2])
def test_deformable_convolution_without_offsets_is_a_convolution(groups: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 7, 9)
    kwargs = {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "groups": groups}
    plain = DeformConv(4, 6, **kwargs)
    expected = F.conv2d(x, plain.weight, None, 2, 2, 2, groups)
    offset = torch.zeros(2, 18, *expected.shape[-2:])
    torch.testing.assert_close(plain(x, offset), expected)
    modulated = ModulatedDeformConv(4, 6, **kwargs)
    expected = F.conv2d(x, modulated.weight, None, 2, 2, 2, groups) * 0.5 + modulated.bias[:, None, None]
    torch.testing.assert_close(modulated(x, offset, torch.full_like(offset[:, :9], 0.5)), expected)


def test_deformable_convolution_samples_where_it_is_told() -> None:
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    conv = DeformConv(1, 1, 1)
    nn.init.ones_(conv.weight)
    offset = torch.zeros(1, 2, 5, 5)
    offset[:, 0] = 1.0  # a row down
    offset[:, 1] = 0.5  # half a column to the right
    assert conv(x, offset)[0, 0, 0, 0].item() == 5.5


@pytest.mark.parametrize("separable", [False, True])
def test_each_branch_of_aspp_has_an_activation_of_its_own(separable: bool) -> None:
    given = nn.PReLU()
    layer = ASPP(8, 8, [1, 2, 3], norm="", activation=given, use_depthwise_separable_conv=separable)
    own = [module for module in layer.modules() if isinstance(module, nn.PReLU)]
    assert len(own) == (9 if separable else 6)
    assert len({id(module.weight) for module in own}) == len(own)
    assert all(module is not given for module in own)
    assert len([key for key in layer.state_dict() if "activation" in key]) == len(own)
    plain = ASPP(8, 8, [1, 2, 3], norm="", activation=torch.nn.functional.relu)
    assert all(c.activation is torch.nn.functional.relu for c in plain.convs[:4])


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("pool", [None, (4, 4)])
def test_aspp(separable: bool, pool: tuple[int, int] | None) -> None:
    layer = ASPP(
        8,
        32,
        [2, 4, 6],
        norm="LN",
        activation=F.relu,
        pool_kernel_size=pool,
        dropout=0.1,
        use_depthwise_separable_conv=separable,
    )
    assert layer(torch.randn(2, 8, 8, 12)).shape == (2, 32, 8, 12)
    if pool is not None:
        with pytest.raises(ValueError, match="divide"):
            layer(torch.randn(2, 8, 9, 12))


def test_depthwise_separable() -> None:
    layer = DepthwiseSeparableConv2d(4, 32, norm1="BN", norm2="GN", activation2=F.relu)
    assert layer(torch.randn(2, 4, 5, 5)).min() >= 0
    assert layer.depthwise.groups == 4


@pytest.mark.parametrize("loss", [empty_input_loss_func_wrapper(F.cross_entropy), cross_entropy])
def test_loss_of_nothing_is_zero_with_a_gradient(loss) -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    value = loss(logits, torch.zeros(0, dtype=torch.int64))
    value.backward()
    assert value.item() == 0
    assert cat([logits]) is logits
