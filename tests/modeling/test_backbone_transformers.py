"""What all transformer backbones promise, on small ones of each kind."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from lazycfg.modeling.backbone import MViT, SimpleFeaturePyramid, SwinTransformer, ViT, get_vit_lr_decay_rate
from lazycfg.modeling.backbone.fpn import LastLevelMaxPool
from lazycfg.modeling.backbone.swin import BasicLayer, PatchMerging, SwinTransformerBlock


def vit(**kwargs):
    defaults = {
        "img_size": 64,
        "patch_size": 8,
        "embed_dim": 16,
        "depth": 3,
        "num_heads": 2,
        "window_size": 3,
        "window_block_indexes": [0, 2],
        "residual_block_indexes": [1],
        "use_rel_pos": True,
        "rel_pos_zero_init": False,
        "pretrain_img_size": 32,
    }
    return ViT(**defaults | kwargs)


def swin(**kwargs):
    defaults = {
        "embed_dim": 8,
        "depths": (2, 1, 2),
        "num_heads": (1, 2, 4),
        "window_size": 3,
        "out_indices": (0, 1, 2),
    }
    return SwinTransformer(**defaults | {"drop_path_rate": 0.0} | kwargs)


def mvit(**kwargs):
    defaults = {
        "img_size": 64,
        "embed_dim": 8,
        "depth": 6,
        "last_block_indexes": (0, 2, 4, 5),
        "adaptive_window_size": 8,
        "rel_pos_zero_init": False,
        "use_abs_pos": True,
        "pretrain_img_size": 32,
    }
    return MViT(**defaults | kwargs)


def pyramid(**kwargs):
    return SimpleFeaturePyramid(
        net=vit(**kwargs),
        in_feature="last_feat",
        out_channels=8,
        scale_factors=(4.0, 2.0, 1.0, 0.5),
        top_block=LastLevelMaxPool("p4"),
    )


ALL = pytest.mark.parametrize("make", [vit, swin, mvit, pyramid])


@ALL
@pytest.mark.parametrize("hw", [(64, 64), (96, 32), (75, 101)])
def test_maps_have_the_shapes_that_output_shape_says(make, hw):
    if make is pyramid:  # cuts what is no whole patch, then doubles it
        hw = (hw[0] // 16 * 16, hw[1] // 16 * 16)
    model = make().eval()
    with torch.no_grad():
        maps = model(torch.rand(2, 3, *hw))
    specs = model.output_shape()
    assert list(maps) == list(specs)
    for name, y in maps.items():
        assert y.shape[:2] == (2, specs[name].channels)
        for size, side in zip(hw, y.shape[2:], strict=True):
            assert size // specs[name].stride <= side <= math.ceil(size / specs[name].stride)


@ALL
def test_built_on_the_meta_device_with_the_same_state(make):
    with torch.device("meta"):
        model = make()
    assert all(t.is_meta for t in model.state_dict().values())
    real = make().state_dict()
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in real.items()}
    maps = model(torch.rand(1, 3, 64, 64, device="meta"))
    assert [y.shape[1] for y in maps.values()] == [s.channels for s in model.output_shape().values()]


@pytest.mark.parametrize("make", [vit, mvit, swin])
def test_checkpointing_changes_no_gradient(make):
    torch.manual_seed(0)
    plain = make()
    option = "use_checkpoint" if make is swin else "use_act_checkpoint"
    saving = make(**{option: True})
    saving.load_state_dict(plain.state_dict())
    x = torch.rand(1, 3, 48, 48)
    for model in (plain, saving):
        sum(y.square().mean() for y in model(x).values()).backward()
    for (name, p), q in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert p.grad is not None, name
        torch.testing.assert_close(p.grad, q.grad, msg=name)


@ALL
def test_bfloat16_autocast_stays_close(make):
    torch.manual_seed(0)
    model = make().eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    for name, y in exact.items():
        assert (rough[name].float() - y).norm() < 0.05 * y.norm(), name


@ALL
def test_compiles_without_a_graph_break(make):
    torch._dynamo.reset()
    model = make().eval()
    x = torch.rand(1, 3, 61, 70)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        for name, y in model(x).items():
            torch.testing.assert_close(compiled(x)[name], y, msg=name)


@pytest.mark.parametrize("make", [vit, mvit, swin])
def test_stochastic_depth_acts_in_training_only(make):
    torch.manual_seed(0)
    model = make(drop_path_rate=0.9)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        first, second = (list(model(x).values())[-1] for _ in range(2))
        assert not torch.equal(first, second)
        model.eval()
        first, second = (list(model(x).values())[-1] for _ in range(2))
        assert torch.equal(first, second)


def test_vit_positions_cost_no_keys_when_unused():
    keys = vit(use_abs_pos=False, use_rel_pos=False).state_dict()
    assert not [k for k in keys if "pos" in k]
    y = vit(use_abs_pos=False, use_rel_pos=False)(torch.rand(1, 3, 40, 40))["last_feat"]
    assert y.shape == (1, 16, 5, 5)


def test_vit_residual_block_starts_as_the_identity():
    with_block = vit().eval()
    without = vit(residual_block_indexes=[]).eval()
    without.load_state_dict(with_block.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(with_block(x)["last_feat"], without(x)["last_feat"])


def test_vit_windows_do_not_see_each_other():
    model = vit(depth=1, window_block_indexes=[0], residual_block_indexes=[], use_rel_pos=True).eval()
    x = torch.rand(1, 3, 48, 48)
    y = model(x)["last_feat"]
    x[..., :8, :8] += 1.0
    changed = (model(x)["last_feat"] != y).any(1)[0]
    assert changed[:3, :3].all()
    assert not changed[3:].any()
    assert not changed[:, 3:].any()


def test_pyramid_refuses_other_scales():
    with pytest.raises(ValueError, match=r"0\.25"):
        SimpleFeaturePyramid(net=vit(), in_feature="last_feat", out_channels=8, scale_factors=(0.25,))


def test_pyramid_without_norm_has_biases_and_asks_for_squares():
    model = SimpleFeaturePyramid(
        net=vit(), in_feature="last_feat", out_channels=8, scale_factors=(4.0, 1.0), norm="", square_pad=96
    )
    assert model.padding_constraints["square_size"] == 96
    assert "simfp_1.4.bias" in model.state_dict()
    assert list(model(torch.rand(1, 3, 64, 64))) == ["p1", "p3"]


def shifted_attention_oracle(block, x):
    """The block's attention written over all pairs of tokens: same shifted window, same region."""
    _, H, W, C = x.shape
    size, shift, heads = block.window_size, block.shift_size, block.attn.num_heads
    Hp, Wp = math.ceil(H / size) * size, math.ceil(W / size) * size
    y = torch.zeros(1, Hp, Wp, C)
    y[:, :H, :W] = block.norm1(x)
    qkv = block.attn.qkv(y).reshape(Hp * Wp, 3, heads, C // heads)
    q, k, v = qkv.unbind(1)

    def place(t, length):
        """Window of a token on the rolled map, its place in it, and its region."""
        rolled = (t - shift) % length
        wrapped = shift > 0 and t < shift
        return rolled // size, rolled % size, wrapped

    out = torch.zeros(Hp * Wp, heads, C // heads)
    for i in range(Hp * Wp):
        logits, values = [], []
        ri, ci = place(i // Wp, Hp), place(i % Wp, Wp)
        for j in range(Hp * Wp):
            rj, cj = place(j // Wp, Hp), place(j % Wp, Wp)
            if ri[0] != rj[0] or ci[0] != cj[0] or ri[2] != rj[2] or ci[2] != cj[2]:
                continue
            index = (ri[1] - rj[1] + size - 1) * (2 * size - 1) + ci[1] - cj[1] + size - 1
            bias = block.attn.relative_position_bias_table[index]
            logits.append((q[i] * k[j]).sum(-1) / math.sqrt(C // heads) + bias)
            values.append(v[j])
        weights = torch.stack(logits).softmax(0)
        out[i] = (weights[..., None] * torch.stack(values)).sum(0)
    y = block.attn.proj(out.reshape(1, Hp, Wp, C))
    x = x + y[:, :H, :W]
    return x + block.mlp(block.norm2(x))


@pytest.mark.parametrize("hw", [(6, 9), (5, 7), (3, 3)])
def test_swin_stage_equals_attention_written_over_all_pairs(hw):
    torch.manual_seed(0)
    layer = BasicLayer(8, depth=2, num_heads=2, window_size=3).eval()
    for p in layer.parameters():
        nn.init.normal_(p, std=0.5)
    x = torch.randn(2, *hw, 8)
    with torch.no_grad():
        out, following = layer(x)
        for n in range(2):
            expected = x[n : n + 1]
            for block in layer.blocks:
                expected = shifted_attention_oracle(block, expected)
            torch.testing.assert_close(out[n : n + 1], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(out, following)


def test_patch_merging_takes_the_four_parts_in_column_order():
    layer = PatchMerging(1, norm_layer=lambda _: nn.Identity())
    x = torch.arange(15.0).view(1, 3, 5, 1)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 1, 0, 1))
    parts = [padded[:, r::2, c::2] for r, c in ((0, 0), (1, 0), (0, 1), (1, 1))]
    torch.testing.assert_close(layer(x), layer.reduction(torch.cat(parts, -1)))


def test_swin_freezes_and_keeps_the_frozen_in_evaluation_mode():
    model = swin(frozen_stages=2, ape=True, drop_rate=0.1)
    model.train()
    frozen = {".".join(n.split(".")[:2]) for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"patch_embed.proj", "patch_embed.norm", "absolute_pos_embed", "layers.0"}
    assert not model.layers[0].blocks[0].training
    assert model.layers[1].blocks[0].training
    trained = {n for n, p in swin(frozen_stages=0).named_parameters() if not p.requires_grad}
    assert {n.split(".")[0] for n in trained} == {"patch_embed"}


def test_swin_refuses_a_shift_as_large_as_the_window():
    with pytest.raises(ValueError, match="0 to 2"):
        SwinTransformerBlock(8, 1, window_size=3, shift_size=3)


def test_mvit_stages_double_width_and_stride():
    model = mvit(out_features=("scale3", "scale5"), norm_layer=partial(nn.LayerNorm, eps=1e-6))
    assert {n: (s.channels, s.stride) for n, s in model.output_shape().items()} == {
        "scale3": (16, 8),
        "scale5": (64, 32),
    }
    assert not hasattr(model, "scale2_norm")


def test_vit_learning_rates_fall_towards_the_patches():
    rate = partial(get_vit_lr_decay_rate, lr_decay_rate=0.5, num_layers=3)
    assert rate("backbone.net.pos_embed") == rate("backbone.net.patch_embed.proj.weight") == 0.5**4
    assert rate("backbone.net.blocks.0.attn.qkv.weight") == 0.5**3
    assert rate("backbone.net.blocks.2.mlp.fc1.bias") == 0.5
    assert rate("backbone.net.blocks.2.residual.conv1.weight") == 1.0
    assert rate("backbone.simfp_2.0.weight") == rate("roi_heads.box_head.fc1.weight") == 1.0
