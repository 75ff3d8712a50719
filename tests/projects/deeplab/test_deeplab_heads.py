"""DeepLab's heads, stem, loss and schedule: edge cases, waits, autocast, the meta device."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from readme_commands import run_commands

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import ResNet
from lazycfg.projects.deeplab import (
    DeepLabCE,
    DeepLabStem,
    DeepLabV3Head,
    DeepLabV3PlusHead,
    WarmupPolyLR,
    WarmupPolyParamScheduler,
)
from lazycfg.utils import SyncCounter

QUICKSTART = (
    Path(__file__).parents[3] / "projects" / "deeplab" / "configs" / "quickstart_deeplab_v3_plus_shapes.py"
)
LEVELS = {"res5": ShapeSpec(channels=16, stride=16), "res2": ShapeSpec(channels=8, stride=4)}
V3_PLUS: dict = dict(  # noqa: C408
    project_channels=[4],
    aspp_dilations=[1, 2, 3],
    aspp_dropout=0.0,
    decoder_channels=[8, 12],
    common_stride=4,
    norm="BN",
    train_size=None,
    num_classes=3,
)


def quickstart(**head):
    torch.manual_seed(0)
    cfg = LazyConfig.load(QUICKSTART)
    cfg.model.sem_seg_head.update(**head)
    return instantiate(cfg.model)


def inputs(count, size=(64, 96)):
    generator = torch.Generator().manual_seed(count)
    return [
        {
            "image": torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8),
            "sem_seg": torch.randint(0, 3, size, generator=generator),
        }
        for _ in range(count)
    ]


def v3_head(**options):
    return DeepLabV3Head({"res5": LEVELS["res5"]}, num_classes=3, aspp_channels=8, **options)


@pytest.mark.parametrize("loss_type", ["cross_entropy", "hard_pixel_mining"])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)], ids=str)
def test_any_size_of_image(size, loss_type):
    model = quickstart(loss_type=loss_type)
    (loss,) = model(inputs(2, size)).values()
    loss.backward()
    assert loss.isfinite()
    model.eval()
    with torch.no_grad():
        assert all(x["sem_seg"].shape == (3, *size) for x in model(inputs(2, size)))


@pytest.mark.parametrize("loss_type", ["cross_entropy", "hard_pixel_mining"])
def test_only_ignored_pixels_give_no_loss(loss_type):
    model = quickstart(loss_type=loss_type)
    batch = inputs(2)
    for item in batch:
        item["sem_seg"].fill_(255)
    (loss,) = model(batch).values()
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_waits_for_no_device_and_as_many_ops_for_any_batch(training):
    model = quickstart(loss_type="hard_pixel_mining").train(training)
    ops = []
    for n in (2, 3, 8):
        with torch.set_grad_enabled(training), SyncCounter() as counter:
            model(inputs(n))
        assert counter.num_syncs == 0, counter.waits()
        ops.append(counter.num_ops)
    assert max(ops) - min(ops) <= 2 * 6, ops  # the images are read one by one


def test_backbone_and_head_compile_whole():
    model = quickstart().eval()
    image = torch.zeros(1, 3, 64, 64)
    torch.compile(model.backbone, backend="eager", fullgraph=True)(image)
    features = model.backbone(image)
    torch.compile(model.sem_seg_head, backend="eager", fullgraph=True)(features)
    model.train()
    targets = torch.zeros(1, 64, 64, dtype=torch.int64)
    torch.compile(model.sem_seg_head, backend="eager", fullgraph=True)(model.backbone(image), targets)


def test_autocast_gives_losses_in_single_precision():
    model = quickstart()
    with torch.autocast("cpu", torch.bfloat16):
        (loss,) = model(inputs(2)).values()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(3), rel=0.05)  # nothing learned yet


def test_depthwise_separable_decoder_trains():
    head = DeepLabV3PlusHead(LEVELS, **V3_PLUS, use_depthwise_separable_conv=True)
    features = {"res2": torch.randn(2, 8, 16, 16), "res5": torch.randn(2, 16, 4, 4)}
    _, losses = head(features, torch.zeros(2, 64, 64, dtype=torch.int64))
    losses["loss_sem_seg"].backward()
    assert all(p.grad is not None for p in head.parameters())
    assert "decoder.res2.fuse_conv.depthwise.weight" in head.state_dict()


def test_without_classes_the_head_gives_the_decoders_features():
    head = DeepLabV3PlusHead(LEVELS, **{**V3_PLUS, "num_classes": None}).eval()
    features = {"res2": torch.randn(1, 8, 16, 16), "res5": torch.randn(1, 16, 4, 4)}
    assert head.layers(features).shape == (1, 8, 16, 16)
    assert not any(key.startswith("predictor") for key in head.state_dict())


def test_pooling_window_of_the_training_size():
    head = v3_head(train_size=(64, 128)).eval()
    assert head.aspp.pool_kernel_size == (4, 8)
    assert head({"res5": torch.zeros(1, 16, 8, 8)})[0].shape == (1, 3, 128, 128)
    with pytest.raises(ValueError, match=r"does not divide a map of \(5, 8\).*train_size=None"):
        head({"res5": torch.zeros(1, 16, 5, 8)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: v3_head(train_size=(60, 128)), r"train_size=\(60, 128\) must be divisible by 16"),
        (lambda: v3_head(loss_type="dice"), "loss_type must be"),
        (lambda: v3_head(common_stride=8), "common_stride=8; input_shape has res5 of stride 16"),
        (lambda: DeepLabV3PlusHead({}, **V3_PLUS), "input_shape=.* is empty"),
        (
            lambda: DeepLabV3PlusHead(LEVELS, **{**V3_PLUS, "project_channels": [4, 4]}),
            "project_channels needs 1 numbers and decoder_channels 2",
        ),
        (lambda: DeepLabV3PlusHead(LEVELS, **{**V3_PLUS, "common_stride": 8}), "'res2' has the stride 4"),
        (lambda: DeepLabCE(top_k_percent_pixels=20), "a share of the pixels"),
        (lambda: ResNet.make_default_stages(50, res4_dilation=2), "res4_dilation must be 1 or 2"),
        (lambda: ResNet.make_default_stages(18, res5_multi_grid=(1, 2, 4)), "depths from 50"),
        (lambda: WarmupPolyParamScheduler(warmup_length=1000), "share of training"),
        (lambda: WarmupPolyParamScheduler(warmup_method="exp"), "'linear' or 'constant'"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_pixels_need_hard_pixel_mining():
    head = v3_head()
    with pytest.raises(ValueError, match="takes no weights"):
        head({"res5": torch.zeros(1, 16, 2, 2)}, torch.zeros(1, 32, 32).long(), torch.ones(1, 32, 32))


def test_dilations_of_the_stages():
    stages = ResNet.make_default_stages(50, res4_dilation=2, res5_dilation=4, res5_multi_grid=(1, 2, 4))
    assert [block.conv2.dilation[0] for block in stages[2]] == [2] * 6
    assert [block.conv2.dilation[0] for block in stages[3]] == [4, 8, 16]
    assert [stage[0].stride for stage in stages] == [1, 2, 1, 1]


def test_stem():
    stem = DeepLabStem(out_channels=16)
    assert [tuple(stem.get_submodule(f"conv{i}").weight.shape) for i in (1, 2, 3)] == [
        (8, 3, 3, 3),
        (8, 8, 3, 3),
        (16, 8, 3, 3),
    ]
    assert stem(torch.zeros(1, 3, 64, 96)).shape == (1, 16, 16, 24)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.2, 0.5, 1.0]), st.booleans(), st.booleans())
def test_hard_pixels_one_by_one(seed, share, weighted, with_classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 3, 5, generator=generator)
    labels = torch.randint(-1, 4, (2, 3, 5), generator=generator)
    weights = torch.rand(2, 3, 5, generator=generator) if weighted else None
    of_classes = torch.rand(4, generator=generator) if with_classes else None
    losses = []
    for n in range(2):
        for y in range(3):
            for x in range(5):
                k = int(labels[n, y, x])
                loss = 0.0 if k < 0 else -float(logits[n, :, y, x].log_softmax(0)[k])
                loss *= 1.0 if of_classes is None or k < 0 else float(of_classes[k])
                losses.append(loss * (1.0 if weights is None else float(weights[n, y, x])))
    kept = sorted(losses, reverse=True)[: max(1, int(share * 30))]
    got = DeepLabCE(-1, share, of_classes)(logits, labels, weights)
    assert got.item() == pytest.approx(sum(kept) / len(kept), rel=1e-5, abs=1e-7)


@given(st.integers(0, 999), st.sampled_from(["linear", "constant"]), st.sampled_from([0.0, 0.3]))
def test_schedule_at_every_iteration(iteration, method, ending):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    scheduler = WarmupPolyLR(optimizer, 1000, 0.01, 100, method, constant_ending=ending)
    scheduler.last_epoch = iteration
    factor = (1 - iteration / 1000) ** 0.9
    if iteration >= 100:
        factor = max(factor, ending)
    else:
        factor *= 0.01 if method == "constant" else 0.01 * (1 - iteration / 100) + iteration / 100
    assert scheduler.get_lr() == pytest.approx([2.0 * factor])


def test_warm_up_longer_than_the_training_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ValueError, match="warmup_iters=1000 is more than max_iters=10"):
        WarmupPolyLR(optimizer, 10)


def test_readme_and_quickstart(tmp_path):
    (results,) = run_commands(QUICKSTART.parents[1] / "README.md", tmp_path).values()
    assert "mIoU" in results["sem_seg"]
    assert list((tmp_path / "pictures").glob("*.jpg"))
