"""Trunks of other libraries in ours: the same weights must give the same features."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lazycfg.checkpoint import (
    CheckpointError,
    WeightsMismatchError,
    convert_weights,
    load_weights,
    remote_file,
)
from lazycfg.checkpoint.trunk_names import resized_positions
from lazycfg.modeling import ViT
from lazycfg.modeling.backbone import MViT, SwinTransformer

timm = pytest.importorskip("timm")


def randomised(model):
    """Values that no two tensors share; those of timm begin with zeros and ones."""
    torch.manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and (value.dim() == 1 or "token" in name or "pos" in name):
            if "running_var" in name:
                value.uniform_(0.5, 1.5)
                continue
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            value.copy_(centre + 0.2 * torch.randn_like(value))
    return model.eval()


def difference(found, expected):
    return (found - expected).abs().max().item()


def vit(side=64, **options):
    arguments = {
        "img_size": side, "pretrain_img_size": side, "patch_size": 16,
        "embed_dim": 96, "depth": 3, "num_heads": 3,
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
    }  # fmt: skip
    return ViT(**(arguments | options)).eval()


def timm_vit(side=64, **options):
    arguments = {
        "img_size": side, "patch_size": 16, "embed_dim": 96, "depth": 3, "num_heads": 3, "num_classes": 0,
    }  # fmt: skip
    return randomised(timm.models.vision_transformer.VisionTransformer(**(arguments | options)))


VARIANTS = {
    "plain": ({}, {"class_token": True, "final_norm": True}),
    "without a class token": (
        {"class_token": False, "global_pool": "avg", "final_norm": False},
        {"pretrain_use_cls_token": False},
    ),
    "dinov2": (
        {"init_values": 1e-5, "patch_size": 14, "img_size": 70},
        {
            "layer_scale": True,
            "patch_size": 14,
            "pretrain_img_size": 70,
            "class_token": True,
            "final_norm": True,
        },
    ),
    "dinov2 with registers": (
        {"init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True},
        {"layer_scale": True, "num_registers": 4, "class_token": True, "final_norm": True},
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_vision_transformers_of_timm(name):
    of_timm, of_ours = VARIANTS[name]
    theirs, ours = timm_vit(**of_timm), vit(**of_ours)
    report = load_weights(ours, theirs.state_dict())
    assert report.adapter == "vit"
    assert not report.problems
    assert not report.newly_initialized
    image = torch.rand(2, 3, of_timm.get("img_size", 64), of_timm.get("img_size", 64))
    norm = of_ours.get("final_norm", False)
    expected = theirs.forward_intermediates(image, indices=1, norm=norm, intermediates_only=True)[0]
    worst = difference(ours(image)["last_feat"], expected)
    print(f"timm vit, {name}: {worst:.1e}")
    assert worst < 2e-5


def mae(side=64):
    """The keys of a file of MAE: encoder, decoder and mask token."""
    state = timm_vit(side).state_dict()
    return state | {
        "mask_token": torch.zeros(1, 1, 32),
        "decoder_pos_embed": torch.zeros(1, 17, 32),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(96, 32),
    }


def test_mae_begins_a_detector_of_vitdet():
    ours = vit(use_rel_pos=True, window_size=2, window_block_indexes=[0, 1], residual_block_indexes=[2])
    report = load_weights(
        nn.ModuleDict({"backbone": nn.ModuleDict({"net": ours}), "head": nn.Linear(2, 2)}), mae()
    )
    assert not report.problems
    assert report.prefix == "backbone.net."
    assert {"cls_token", "mask_token", "decoder_pos_embed", "norm.weight"} <= set(report.not_needed)
    new = {key.removeprefix("backbone.net.").partition(".attn.")[2] for key in report.newly_initialized}
    assert {"rel_pos_h", "rel_pos_w"} <= new
    assert "head.weight" in report.newly_initialized


def test_a_part_of_the_relative_positions_is_missing():
    ours = vit(use_rel_pos=True)
    state = mae() | {"blocks.0.attn.rel_pos_h": torch.zeros(7, 32)}
    with pytest.raises(WeightsMismatchError, match=r"missing\s+blocks\.0\.attn\.rel_pos_w"):
        load_weights(ours, state)


@torch.no_grad()
def test_positions_of_another_grid():
    ours = vit(128)
    state = mae(64)
    report = load_weights(ours, state)
    (change,) = report.changes
    assert (change.what, change.key) == ("resized", "pos_embed")
    assert change.detail == "interpolated from 4 x 4 to 8 x 8, [1, 17, 96] to [1, 65, 96]"
    grid = state["pos_embed"][:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    expected = F.interpolate(grid, size=(8, 8), mode="bicubic").flatten(2).transpose(1, 2)
    assert torch.equal(ours.pos_embed[:, 1:], expected)
    assert torch.equal(ours.pos_embed[:, :1], state["pos_embed"][:, :1])
    assert "resized" in str(report)


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("pos_embed", (1, 21, 8), (1, 65, 8)),  # no square
        ("pos_embed", (1, 17, 8), (1, 65, 9)),
        ("blocks.0.norm1.weight", (8,), (9,)),
        ("layers.0.blocks.0.attn.relative_position_bias_table", (168, 4), (529, 4)),
        ("blocks.0.attn.rel_pos_h", (7, 8), (13, 9)),
    ],
)
def test_other_sizes_are_refused(name, shape, wanted):
    assert resized_positions(name, torch.zeros(shape), wanted) is None


def test_other_transformers_are_refused_with_a_reason():
    cases = {
        "branches are scaled": timm_vit(init_values=1e-5),
        "gated": timm_vit(mlp_layer=timm.layers.SwiGLUPacked),
        "normalises queries and keys": timm_vit(qk_norm=True),
    }
    for reason, theirs in cases.items():
        state = theirs.state_dict()
        if reason == "gated":
            state = {key.replace("mlp.fc1", "mlp.w12"): value for key, value in state.items()}
            state["blocks.0.mlp.fc1.weight"] = torch.zeros(384, 96)
        with pytest.raises(WeightsMismatchError, match=reason):
            load_weights(vit(), state)


def swin(**options):
    arguments = {"embed_dim": 24, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8), "window_size": 4}
    return SwinTransformer(**(arguments | options)).eval()


def timm_swin(**options):
    arguments = {
        "img_size": 256, "embed_dim": 24, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8), "window_size": 4,
    }  # fmt: skip
    return randomised(timm.models.swin_transformer.SwinTransformer(**(arguments | options)))


def as_the_authors_have_it(state):
    """timm's downsampling begins a stage, that of Swin's authors ends the one before."""
    moved = {f"layers.{i + 1}.downsample.": f"layers.{i}.downsample." for i in range(3)}
    renamed = {}
    for key, value in state.items():
        start = next((old for old in moved if key.startswith(old)), None)
        renamed[moved[start] + key.removeprefix(start) if start else key] = value
    renamed["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 16, 16)
    renamed["layers.0.blocks.1.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    return renamed


@pytest.mark.parametrize("authors", [False, True])
@torch.no_grad()
def test_swin(authors):
    theirs, ours = timm_swin(), swin()
    state = as_the_authors_have_it(theirs.state_dict()) if authors else theirs.state_dict()
    report = load_weights(ours, state)
    assert report.adapter == ("swin" if authors else "timm-swin")
    assert not report.problems
    assert all(key.startswith("norm") for key in report.newly_initialized)
    image = torch.rand(2, 3, 256, 256)
    expected = theirs.forward_intermediates(image, intermediates_only=True)
    worst = 0.0
    for name, features in zip(("p0", "p1", "p2", "p3"), expected, strict=True):
        normalised = F.layer_norm(features.permute(0, 2, 3, 1), features.shape[1:2]).permute(0, 3, 1, 2)
        worst = max(worst, difference(ours(image)[name], normalised))
    print(f"swin, {'authors' if authors else 'timm'}: {worst:.1e}")
    assert worst < 5e-5


def test_swin_with_larger_windows():
    ours = swin(window_size=8)
    report = load_weights(ours, as_the_authors_have_it(timm_swin().state_dict()))
    resized = [change.key for change in report.changes if change.what == "resized"]
    assert len(resized) == 8
    assert all(key.endswith("relative_position_bias_table") for key in resized)


def test_swin_of_version_2_is_refused():
    theirs = timm.models.swin_transformer_v2.SwinTransformerV2(
        img_size=128, embed_dim=24, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), window_size=4
    )
    with pytest.raises((CheckpointError, WeightsMismatchError)):
        load_weights(swin(), theirs.state_dict())


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
@torch.no_grad()
def test_resnets_of_timm(name):
    from lazycfg.modeling.backbone import BasicStem, ResNet

    theirs = randomised(timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4)))
    options = {"num_groups": 32, "width_per_group": 4} if "next" in name else {}
    ours = ResNet(
        stem=BasicStem(norm="BN"),
        stages=ResNet.make_default_stages(depth=18 if name == "resnet18" else 50, norm="BN", **options),
        out_features=["res2", "res3", "res4", "res5"],
    ).eval()
    report = load_weights(ours, theirs.state_dict())
    assert not report.problems
    assert not report.remarks
    image = torch.rand(1, 3, 64, 96)
    pairs = zip(ours(image).values(), theirs(image), strict=True)
    worst = max(difference(a, b) / b.abs().max().item() for a, b in pairs)
    print(f"timm {name}: {worst:.1e} of the largest value")
    assert worst < 1e-5


def test_a_resnet_with_a_deep_stem_is_refused():
    from lazycfg.modeling.backbone import BasicStem, ResNet

    theirs = timm.create_model("resnet50d")
    ours = ResNet(stem=BasicStem(), stages=ResNet.make_default_stages(depth=50), out_features=["res5"])
    with pytest.raises(WeightsMismatchError):
        load_weights(ours, theirs.state_dict())


def test_conversion_of_a_trunk_says_what_went_where():
    conversion = convert_weights(timm_swin().state_dict(), origin="timm")
    assert conversion.adapter == "timm-swin"
    assert not conversion.left
    assert "layers.1.downsample.*\n       -> layers.0.downsample.*" in str(conversion)
    with pytest.raises(CheckpointError, match="no weights by names of mvit"):
        convert_weights(timm_swin().state_dict(), origin="mvit")


def mvit(**options):
    arguments = {
        "img_size": 64, "embed_dim": 24, "depth": 4,
        "last_block_indexes": (0, 1, 2, 3), "adaptive_window_size": 0,
    }  # fmt: skip
    return MViT(**(arguments | options)).eval()


def test_mvit_of_its_authors():
    """Their names are ours, without the norms of the maps; with a classifier."""
    theirs = {key: value + 1 for key, value in mvit().state_dict().items() if "scale" not in key}
    theirs |= {"norm.weight": torch.ones(192), "head.projection.weight": torch.ones(10, 192)}
    ours = mvit()
    report = load_weights(ours, {"model_state": theirs})
    assert report.adapter == "mvit"
    assert not report.problems
    assert set(report.not_needed) == {"norm.weight", "head.projection.weight"}
    assert all(key.startswith("scale") for key in report.newly_initialized)
    assert torch.equal(ours.blocks[2].attn.pool_q.weight, theirs["blocks.2.attn.pool_q.weight"])


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("resnet18.a1_in1k", "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"),
        ("resnet18", "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"),
        ("cspnext_m.rsb_a1_in1k", "https://huggingface.co/munehiro-k/cspnext_m.rsb_a1_in1k/resolve/main/"
         "model.safetensors"),
        ("gcvit_tiny.in1k", "https://github.com/rwightman/pytorch-image-models/releases/download/"
         "v0.1-weights-morevit/gcvit_tiny_224_nvidia-ac783954.pth"),
        ("of_a_later_release.in1k", "https://huggingface.co/timm/of_a_later_release.in1k/resolve/main/"
         "model.safetensors"),
    ],
)  # fmt: skip
def test_names_of_timm_stand_for_what_they_do_there(name, url, monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert remote_file(f"timm://{name}").url == url


def test_every_name_of_timm_has_a_file():
    """Most lie in timm's own organisation under their name, so that timm need not be installed."""
    names = timm.list_pretrained()
    own = [name for name in names if timm.get_pretrained_cfg(name).hf_hub_id == f"timm/{name}"]
    assert len(own) > 0.9 * len(names)
    for name in names:
        assert remote_file(f"timm://{name}").url.startswith("https://")


@torch.no_grad()
def test_mvit_computes_what_timms_does():
    """timm reads the names of its authors, too. In its last blocks our MViT pools keys once more, as that of
    detection does, so the blocks before are compared.
    """
    norm = partial(nn.LayerNorm, eps=1e-6)
    ours = randomised(mvit(depth=6, last_block_indexes=(0, 2, 4, 5), norm_layer=norm))
    cfg = timm.models.mvitv2.MultiScaleVitCfg(depths=(1, 2, 2, 1), embed_dim=24, num_heads=1)
    theirs = timm.models.mvitv2.MultiScaleVit(cfg, img_size=64, num_classes=0).eval()
    state = timm.models.mvitv2.checkpoint_filter_fn(dict(ours.state_dict()), theirs)
    left = theirs.load_state_dict(state, strict=False)
    assert set(left.missing_keys) <= {"norm.weight", "norm.bias"}
    outputs = {}
    ours.blocks[1].register_forward_hook(lambda module, inputs, output: outputs.update(ours=output))
    theirs.stages[1].blocks[0].register_forward_hook(
        lambda module, inputs, output: outputs.update(theirs=output[0])
    )
    image = torch.rand(2, 3, 64, 64)
    ours(image)
    theirs(image)
    worst = difference(outputs["ours"].flatten(1, 2), outputs["theirs"])
    print(f"mvit, two blocks: {worst:.1e}")
    assert worst < 1e-5


@pytest.mark.parametrize(
    "options",
    [{"use_rel_pos": True}, {"window_size": 2, "window_block_indexes": [0]}, {"residual_block_indexes": [1]}],
)
def test_tokens_beside_the_map_need_global_attention(options):
    with pytest.raises(ValueError, match="they need use_rel_pos=False"):
        vit(class_token=True, **options)
