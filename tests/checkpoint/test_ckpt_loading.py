"""Fitting a file's weights to a model."""

import numpy as np
import pytest
import torch
from torch import nn

from lazycfg.checkpoint import WeightsMismatchError, load_weights, unwrap


class FrozenNorm(nn.Module):
    """The four buffers of a frozen BatchNorm."""

    eps = 1e-5

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.full((channels,), 5.0))
        self.register_buffer("running_var", torch.full((channels,), 7.0))

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shape = (1, -1, 1, 1)
        return x * scale.view(shape) + (self.bias - self.running_mean * scale).view(shape)


class Conv(nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, bias=False, **kwargs)
        self.norm = FrozenNorm(self.out_channels)


def block(stride=1):
    parts = {"conv1": Conv(4, 2, 1, stride=stride), "conv2": Conv(2, 2, 3), "conv3": Conv(2, 4, 1)}
    return nn.ModuleDict({**parts, "shortcut": Conv(4, 4, 1)})


def trunk(stages=(2, 3), stride_in_1x1=True):
    parts = {"stem": nn.ModuleDict({"conv1": Conv(3, 4, 7)})}
    for stage in stages:
        stride = 2 if stage > 2 and stride_in_1x1 else 1
        parts[f"res{stage}"] = nn.ModuleList([block(stride)])
    return nn.ModuleDict(parts)


class Detector(nn.Module):
    def __init__(self, trunk, pixel_std=1.0):
        super().__init__()
        self.backbone = nn.ModuleDict({"bottom_up": trunk, "fpn_lateral2": nn.Conv2d(4, 4, 1)})
        self.head = nn.Linear(4, 2)
        self.register_buffer("pixel_std", torch.full((3, 1, 1), pixel_std), persistent=False)


def values_for(model):
    generator = torch.Generator().manual_seed(0)
    return {key: torch.rand(value.shape, generator=generator) for key, value in model.state_dict().items()}


def assert_loaded(module, expected):
    actual = module.state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(actual[key], value, rtol=1e-3, atol=1e-3)


def rename(state, rules):
    out = {}
    for key, value in state.items():
        for old, new in rules:
            key = key.replace(old, new)
        out[key] = value
    return out


TO_TORCHVISION = [
    ("stem.conv1.norm", "bn1"), ("stem.conv1", "conv1"), ("res2", "layer1"), ("res3", "layer2"),
    ("shortcut.norm", "downsample.1"), ("shortcut", "downsample.0"),
    ("conv1.norm", "bn1"), ("conv2.norm", "bn2"), ("conv3.norm", "bn3"),
]  # fmt: skip
TO_CAFFE2 = [
    (".norm.weight", "_bn_s"), (".norm.bias", "_bn_b"), (".norm.running_mean", "_bn_rm"),
    (".norm.running_var", "_bn_riv"), (".weight", "_w"), ("stem.conv1_bn", "res_conv1_bn"),
    ("stem.conv1", "conv1"),
    (".0.shortcut", "_0_branch1"), (".0.conv1", "_0_branch2a"), (".0.conv2", "_0_branch2b"),
    (".0.conv3", "_0_branch2c"),
]  # fmt: skip


def test_exact_and_cast_to_the_dtype_of_the_parameter():
    model = nn.Linear(3, 2)
    report = load_weights(model, {"weight": torch.ones(2, 3, dtype=torch.float16), "bias": np.zeros(2)})
    assert report.loaded == ("weight", "bias")
    assert not report.problems
    assert model.weight.dtype == torch.float32
    assert bool((model.weight == 1).all())


def test_what_is_not_finite_is_remarked_on(caplog):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model.register_buffer("lowest", torch.tensor(float("-inf")))  # this one may be
    state = model.state_dict()
    assert load_weights(model, state).remarks == ()
    state = {key: value.clone() for key, value in state.items()}
    state["1.weight"][0, 1] = float("nan")
    with caplog.at_level("WARNING"):
        report = load_weights(model, state)
    assert report.remarks == ("1 parameter holds NaN or infinity, so results are of no use: 1.weight",)
    assert "NaN or infinity" in caplog.text
    for key in ("0.weight", "0.bias", "1.bias"):
        state[key].fill_(float("inf"))
    (remark,) = load_weights(model, state).remarks
    assert remark.startswith("4 parameters hold NaN or infinity")


def test_strict_names_everything_and_changes_nothing():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {
        "a.weight": torch.zeros(2, 2),
        "a.bias": torch.zeros(3),
        "c.weight": torch.zeros(1),
        "b.bias": torch.ones(2),
    }
    with pytest.raises(WeightsMismatchError) as caught:
        load_weights(model, state)
    report = caught.value.report
    assert report.missing == ("b.weight",)
    assert report.unexpected == ("c.weight",)
    assert [(m.key, m.model_shape, m.file_shape) for m in report.mismatched] == [("a.bias", (2,), (3,))]
    for part in ("b.weight", "c.weight", "a.bias", "model [2], file [3]", "strict=False"):
        assert part in str(caught.value)
    assert "ignore=['b.*', 'c.*', 'a.*']" in str(caught.value)
    assert_loaded(model, before)

    report = load_weights(model, state, strict=False)
    assert report.problems
    assert report.loaded == ("a.weight", "b.bias")
    assert_loaded(
        model, {"a.weight": torch.zeros(2, 2), "b.bias": torch.ones(2), "b.weight": before["b.weight"]}
    )


def test_ignore_leaves_keys_of_both_sides_alone():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {**values_for(model), "b.weight": torch.zeros(9, 9), "c.x": torch.zeros(1)}
    del state["b.bias"]
    report = load_weights(model, state, ignore=["b.*", "c.*", "typo.*"])
    assert set(report.ignored) == {"b.weight", "b.bias", "c.x"}
    assert report.unused_ignore == ("typo.*",)
    assert "typo.*" in str(report)
    assert_loaded(model, {"a.weight": state["a.weight"], "b.weight": before["b.weight"]})
    with pytest.raises(TypeError, match=r"ignore=\['b"):
        load_weights(model, state, ignore="b.*")


def test_nothing_fits_is_an_error_even_when_lenient():
    with pytest.raises(WeightsMismatchError, match="no tensor"):
        load_weights(nn.Linear(2, 2), {"x": torch.zeros(1)}, strict=False)


def test_backbone_weights_find_their_place():
    model = Detector(trunk())
    state = values_for(model.backbone["bottom_up"])
    report = load_weights(model, {key: value.half() for key, value in state.items()})
    assert report.prefix == "backbone.bottom_up."
    assert not report.problems
    assert set(report.newly_initialized) == {
        "backbone.fpn_lateral2.weight", "backbone.fpn_lateral2.bias", "head.weight", "head.bias",
    }  # fmt: skip
    assert_loaded(model.backbone["bottom_up"], state)


def test_backbone_must_be_complete_and_alone():
    model = Detector(trunk())
    state = values_for(model.backbone["bottom_up"])
    state.pop("res3.0.conv2.weight")
    state["res4.0.conv1.weight"] = torch.zeros(1)
    with pytest.raises(WeightsMismatchError) as caught:
        load_weights(model, state)
    assert caught.value.report.missing == ("backbone.bottom_up.res3.0.conv2.weight",)
    assert caught.value.report.unexpected == ("res4.0.conv1.weight",)


def test_a_stage_in_the_heads_is_found():
    """C4 models have res5 in their heads."""
    model = nn.ModuleDict(
        {"backbone": trunk((2, 3)), "roi_heads": nn.ModuleDict({"res5": nn.ModuleList([block()])})}
    )
    model["roi_heads"]["box_predictor"] = nn.Linear(2, 2)
    state = values_for(trunk((2, 3, 5)))
    report = load_weights(model, state)
    assert not report.problems
    assert report.newly_initialized == ("roi_heads.box_predictor.weight", "roi_heads.box_predictor.bias")
    assert_loaded(model["roi_heads"], {"res5.0.conv1.weight": state["res5.0.conv1.weight"]})


def test_ambiguous_place_asks_for_a_prefix():
    model = nn.ModuleDict({"student": trunk(), "teacher": trunk()})
    state = values_for(trunk())
    with pytest.raises(ValueError, match=r"'(student|teacher)\.' and '(student|teacher)\.'.*prefix="):
        load_weights(model, state)
    report = load_weights(model, state, prefix="teacher.")
    assert not report.problems
    assert all(key.startswith("student.") for key in report.newly_initialized)
    assert_loaded(model["teacher"], state)


def test_strip_takes_a_part_of_a_file():
    detector, backbone = Detector(trunk()), trunk()
    state = values_for(detector)
    load_weights(backbone, state, strip="backbone.bottom_up.")
    assert_loaded(backbone, {"stem.conv1.weight": state["backbone.bottom_up.stem.conv1.weight"]})
    with pytest.raises(ValueError, match="strip='bakbone"):
        load_weights(backbone, state, strip="bakbone.")


def test_torchvision_names():
    model = Detector(trunk(stride_in_1x1=False), pixel_std=58.0)
    state = values_for(model.backbone["bottom_up"])
    file = rename(state, TO_TORCHVISION)
    assert "layer1.0.downsample.1.running_var" in file
    file |= {
        "bn1.num_batches_tracked": torch.tensor(3),
        "fc.weight": torch.ones(5, 4),
        "fc.bias": torch.ones(5),
    }
    report = load_weights(model, file)
    assert report.adapter == "torchvision"
    assert report.not_needed == ("bn1.num_batches_tracked", "fc.weight", "fc.bias")
    assert report.remarks == ()
    assert_loaded(model.backbone["bottom_up"], state)


def test_torchvision_names_stay_where_the_model_has_them():
    model = nn.ModuleDict({"body": nn.ModuleDict({"conv1": nn.Conv2d(3, 4, 7)})})
    model["body"]["layer1"] = nn.ModuleList([nn.ModuleDict({"conv1": nn.Conv2d(4, 4, 1)})])
    state = values_for(model["body"])
    report = load_weights(model, state)
    assert (report.adapter, report.prefix) == ("none", "body.")
    assert_loaded(model["body"], state)


def test_remarks_on_weights_for_another_kind_of_image():
    model = Detector(trunk(stride_in_1x1=True), pixel_std=1.0)
    report = load_weights(model, rename(values_for(model.backbone["bottom_up"]), TO_TORCHVISION))
    assert "pixel_std [58.395" in report.remarks[0]
    assert "stride_in_1x1=False" in report.remarks[1]
    assert "58.395" in str(report)


def test_caffe2_names_without_statistics():
    model = Detector(trunk())
    state = values_for(model.backbone["bottom_up"])
    file = rename({key: value for key, value in state.items() if "running" not in key}, TO_CAFFE2)
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch2a_bn_b", "res3_0_branch1_w"} <= set(file)
    report = load_weights(model, {**file, "fc1000_w": torch.ones(3, 4), "fc1000_b": torch.ones(3)})
    assert report.adapter == "caffe2"
    assert len(report.folded) == 2 * 9
    assert_loaded(model.backbone["bottom_up"], {key: v for key, v in state.items() if "running" not in key})
    norm = model.backbone["bottom_up"]["stem"]["conv1"].norm
    x = torch.randn(1, 4, 2, 2)
    expected = x * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(norm(x), expected)


def test_caffe2_names_with_statistics():
    backbone = trunk()
    state = values_for(backbone)
    report = load_weights(backbone, rename(state, TO_CAFFE2))
    assert report.folded == ()
    assert_loaded(backbone, state)


def test_counters_and_old_buffers_do_not_matter():
    norm = nn.Sequential(nn.BatchNorm2d(2))
    state = norm.state_dict()
    del state["0.num_batches_tracked"]
    state["anchor_generator.cell_anchors.0"] = torch.zeros(3, 4)
    state["pixel_mean"] = torch.zeros(3, 1, 1)
    assert not load_weights(norm, state).problems


def test_wrapped_models_and_files():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    state = values_for(model)
    wrapped = nn.DataParallel(torch.compile(model))
    assert unwrap(wrapped) is model
    file = {f"module._orig_mod.{key}": value for key, value in state.items()}
    assert load_weights(wrapped, file).loaded == tuple(state)
    assert_loaded(model, state)

    part = nn.Sequential(nn.Linear(2, 2), torch.compile(nn.Linear(2, 2)))
    assert load_weights(part, state).loaded == tuple(state)
    torch.testing.assert_close(part[1]._orig_mod.weight, state["1.weight"])


def test_model_on_the_meta_device():
    with torch.device("meta"):
        model = nn.Linear(3, 2)
    load_weights(model, {"weight": torch.ones(2, 3, dtype=torch.float16), "bias": torch.zeros(2)})
    assert model.weight.device.type == "cpu"
    assert model.weight.dtype == torch.float32
    assert isinstance(model.weight, nn.Parameter)


def test_unknown_adapter():
    with pytest.raises(ValueError, match="did you mean 'torchvision'"):
        load_weights(nn.Linear(1, 1), {"weight": torch.ones(1, 1)}, adapter="torchvison")


def test_report_is_short_and_prints_in_colour():
    rich = pytest.importorskip("rich.console")
    model = Detector(trunk((2, 3, 4, 5)))
    with pytest.raises(WeightsMismatchError) as caught:
        load_weights(model, values_for(trunk((2,))))
    text = str(caught.value)
    assert "backbone.bottom_up.res5" in text
    assert len(text.splitlines()) < 30
    console = rich.Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(caught.value.report)
    assert "backbone.bottom_up.res5" in console.export_text()
