import math

import pytest
import torch

from lazycfg.modeling.backbone import vit_utils
from lazycfg.modeling.backbone.vit_utils import (
    DropPath,
    PatchEmbed,
    drop_path_rates,
    get_abs_pos,
    get_rel_pos,
    rel_pos_attention,
    window_partition,
    window_unpartition,
)


@pytest.mark.parametrize(("hw", "window"), [((8, 12), 4), ((7, 9), 4), ((3, 2), 5), ((1, 1), 1)])
def test_windows_hold_the_map_and_give_it_back(hw, window):
    x = torch.rand(2, *hw, 3) + 1
    windows, pad_hw = window_partition(x, window)
    assert pad_hw == tuple(math.ceil(s / window) * window for s in hw)
    assert windows.shape == (2 * pad_hw[0] * pad_hw[1] // window**2, window, window, 3)
    first = torch.zeros(window, window, 3)
    first[: hw[0], : hw[1]] = x[0, :window, :window]
    assert torch.equal(windows[0], first)
    assert torch.equal(window_unpartition(windows, window, pad_hw, hw), x)


@pytest.mark.parametrize(("q", "k"), [(4, 4), (7, 7), (8, 4), (4, 8), (6, 2)])
def test_rel_pos_picks_the_distance_in_units_of_the_finer_axis(q, k):
    table = torch.rand(2 * max(q, k) - 1, 5)
    out = get_rel_pos(q, k, table)
    for i in range(q):
        for j in range(k):
            distance = i * max(k // q, 1) - j * max(q // k, 1)
            assert torch.equal(out[i, j], table[distance + (k - 1) * max(q // k, 1)])


def test_rel_pos_tables_are_interpolated_linearly():
    ramp = torch.linspace(0, 1, 7)[:, None]
    longer = get_rel_pos(8, 8, ramp)
    assert longer.shape == (8, 8, 1)
    assert (longer[:, 0, 0].diff() > 0).all()
    assert longer[3, 3, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("largest_bias", [0, 1 << 22])
@pytest.mark.parametrize(("q_hw", "k_hw"), [((4, 5), (4, 5)), ((6, 4), (3, 2))])
def test_rel_pos_attention_is_softmax_attention_with_both_biases(q_hw, k_hw, largest_bias, monkeypatch):
    monkeypatch.setattr(vit_utils, "_LARGEST_BIAS", largest_bias)
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, h * w, 8).double() for h, w in (q_hw, k_hw, k_hw))
    th, tw = (torch.randn(2 * max(a, b) - 1, 8).double() for a, b in zip(q_hw, k_hw, strict=True))
    inputs = [t.requires_grad_() for t in (q, k, v, th, tw)]

    rh, rw = get_rel_pos(q_hw[0], k_hw[0], th), get_rel_pos(q_hw[1], k_hw[1], tw)
    bias = torch.stack(
        [
            torch.stack(
                [
                    q[:, :, i] @ (rh[i // q_hw[1], j // k_hw[1]] + rw[i % q_hw[1], j % k_hw[1]])
                    for j in range(k_hw[0] * k_hw[1])
                ],
                -1,
            )
            for i in range(q_hw[0] * q_hw[1])
        ],
        -2,
    )
    expected = (q @ k.transpose(-1, -2) / math.sqrt(8) + bias).softmax(-1) @ v
    gradients = torch.autograd.grad(expected.square().sum(), inputs)

    out = rel_pos_attention(*inputs, q_hw, k_hw)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), inputs), gradients)


def test_attention_over_large_maps_keeps_no_matrix_of_pairs_for_the_backward_pass(monkeypatch):
    monkeypatch.setattr(vit_utils, "_LARGEST_BIAS", 399 * 400)
    q, k, v = (torch.randn(1, 2, 400, 8, requires_grad=True) for _ in range(3))
    table = torch.randn(39, 8, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        rel_pos_attention(q, k, v, table, table, (20, 20), (20, 20))
    assert max(saved) <= 2 * 400 * (8 + 20 + 20)


def test_abs_pos_drops_the_class_token_and_follows_the_map():
    pos = torch.arange(17.0).view(1, 17, 1)
    assert torch.equal(get_abs_pos(pos, True, (4, 4)), torch.arange(1.0, 17).view(1, 4, 4, 1))
    wide = get_abs_pos(pos, True, (4, 8))
    assert wide.shape == (1, 4, 8, 1)
    assert (wide[0, :, :, 0].diff(dim=1) > 0).all()
    with pytest.raises(ValueError, match="17 tokens"):
        get_abs_pos(pos, False, (4, 4))


def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    torch.manual_seed(0)
    layer = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(y.flatten(1).amin(1), y.flatten(1).amax(1))
    assert y.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(DropPath(1.0)(x), torch.zeros_like(x))


def test_drop_path_rates_rise_linearly():
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]


def test_patch_embed_leaves_no_pixel_out_when_it_pads():
    layer = PatchEmbed((4, 4), (4, 4), embed_dim=8, pad_to_stride=True)
    x = torch.zeros(1, 3, 9, 10)
    y = layer(x)
    assert y.shape == (1, 3, 3, 8)
    x[..., 8, 9] = 1.0
    assert (layer(x) != y).any()
