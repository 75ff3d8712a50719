"""Panoptic-DeepLab: merging against a version that goes one by one, edge cases, waits, autocast."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "deeplab"))
from readme_commands import run_commands

from lazycfg import LazyConfig, instantiate
from lazycfg.data import ShapesDataset
from lazycfg.evaluation import COCOPanopticEvaluator
from lazycfg.projects.panoptic_deeplab import (
    PanopticDeepLab,
    find_instance_center,
    get_panoptic_segmentation,
    instances_of_panoptic,
)
from lazycfg.utils import SyncCounter

FOLDER = Path(__file__).parents[3] / "projects" / "panoptic_deeplab" / "configs"
DIVISOR, CLASSES, THINGS, STUFF_AREA, KERNEL = 100, 5, (1, 3), 6, 3
IS_THING = torch.tensor([i in THINGS for i in range(CLASSES)])


def random_maps(seed, count=2, size=(9, 11)):
    """Logits, heat and offsets with many ties."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(0, 3, (count, CLASSES, *size), generator=generator).float()
    heat = torch.randint(-2, 10, (count, *size), generator=generator) / 10
    offsets = torch.randint(-3, 4, (count, 2, *size), generator=generator).float()
    return logits, heat, offsets


def one_by_one(logits, heat, offsets, top_k):
    """Panoptic labels of one image, and its instances as (label, pixels, score, box)."""
    sem_seg = logits.argmax(0)
    height, width = sem_seg.shape
    hot = [[float(v) if v > 0.1 else -1.0 for v in row] for row in heat]
    peaks = {}
    for y in range(height):
        for x in range(width):
            window = [
                hot[v][u]
                for v in range(max(y - 1, 0), min(y + 2, height))
                for u in range(max(x - 1, 0), min(x + 2, width))
            ]
            peaks[y, x] = hot[y][x] if hot[y][x] == max(window) else -1.0
    lowest = max(sorted(peaks.values(), reverse=True)[top_k - 1], 0.0)
    centers = [place for place in sorted(peaks) if peaks[place] > lowest]
    owner = torch.zeros(height, width, dtype=torch.int64)
    for y in range(height):
        for x in range(width):
            if int(sem_seg[y, x]) in THINGS and centers:
                ty, tx = y + float(offsets[0, y, x]), x + float(offsets[1, y, x])
                far = [torch.tensor([cy - ty, cx - tx]).norm().item() for cy, cx in centers]
                owner[y, x] = far.index(min(far)) + 1
    panoptic = torch.full((height, width), -1)
    number, found = {}, []
    for index in range(1, len(centers) + 1):
        mask = owner == index
        if mask.any():
            category = int(sem_seg[mask].mode().values)
            number[category] = number.get(category, 0) + 1
            panoptic[mask] = label = category * DIVISOR + number[category]
            ys, xs = mask.nonzero().unbind(1)
            middle = heat[int(ys.double().mean()), int(xs.double().mean())]
            score = float(logits.softmax(0)[category][mask].mean() * middle)
            box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
            found.append((label, int(mask.sum()), score, box))
    for category in range(CLASSES):
        mask = (sem_seg == category) & (owner == 0)
        if category not in THINGS and mask.sum() >= STUFF_AREA:
            panoptic[mask] = category * DIVISOR
    return panoptic, sorted(found)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 5, 99]))
def test_equal_to_going_one_by_one(seed, top_k):
    logits, heat, offsets = random_maps(seed)
    maps = get_panoptic_segmentation(
        logits.argmax(1),
        heat,
        offsets,
        is_thing=IS_THING,
        label_divisor=DIVISOR,
        stuff_area=STUFF_AREA,
        nms_kernel=KERNEL,
        top_k=top_k,
    )
    instances = instances_of_panoptic(maps, logits, heat, [(9, 11)] * 2, DIVISOR)
    for i in range(2):
        panoptic, found = one_by_one(logits[i], heat[i], offsets[i], top_k)
        assert torch.equal(maps.panoptic[i], panoptic)
        own = instances[i]
        assert (own is None) == (not found)
        if own is not None:
            assert own.pred_classes.tolist() == [label // DIVISOR for label, *_ in found]
            assert own.pred_masks.flatten(1).sum(1).tolist() == [area for _, area, *_ in found]
            assert own.scores.tolist() == pytest.approx([score for *_, score, _ in found], abs=1e-6)
            assert own.pred_boxes.tensor.tolist() == [box for *_, box in found]


def test_centers_without_limit_and_of_none():
    heat = torch.zeros(2, 5, 7)
    heat[0, 1, 2], heat[0, 4, 4], heat[1, 0, 6] = 0.5, 0.9, 0.2
    centers, valid = find_instance_center(heat, top_k=None, nms_kernel=3)
    assert centers[0].tolist() == [[1, 2], [4, 4]]
    assert (centers[1, 0].tolist(), valid.tolist()) == ([0, 6], [[True, True], [True, False]])
    centers, valid = find_instance_center(torch.zeros(2, 5, 7))
    assert centers.shape == (2, 0, 2)
    with pytest.raises(ValueError, match="nms_kernel=4"):
        find_instance_center(heat, nms_kernel=4)


def quickstart(*overrides):
    torch.manual_seed(0)
    cfg = LazyConfig.load(FOLDER / "quickstart_panoptic_deeplab_shapes.py")
    LazyConfig.apply_overrides(cfg, list(overrides))
    model = instantiate(cfg.model)
    with torch.no_grad():  # predictions that differ from pixel to pixel
        for head in (model.sem_seg_head.predictor, model.ins_embed_head.center_predictor):
            head.weight.mul_(300)
    return model, instantiate(cfg.dataloader.train.mapper)


def batch(mapper, count, sizes=((64, 96),)):
    classes = ("circle", "star")
    data = [ShapesDataset(num_images=8, image_size=x, classes=classes, label_maps="joint") for x in sizes]
    return [mapper(data[i % len(data)][i]) for i in range(count)]


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 47)], ids=str)
def test_any_size_of_image(size):
    model, mapper = quickstart()
    losses = model(batch(mapper, 2, [size]))
    assert set(losses) == {"loss_sem_seg", "loss_center", "loss_offset"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        for x in model.eval()(batch(mapper, 2, [size])):
            assert x["sem_seg"].shape == (3, *size)
            assert x["panoptic_seg"][0].shape == size


def test_images_of_several_sizes_equal_the_same_padded_alone():
    model, mapper = quickstart("model.size_divisibility=96")
    items = batch(mapper, 3, [(64, 96), (80, 48), (96, 96)])
    items[1] |= {"height": 60, "width": 36}
    with torch.no_grad():
        together = model.eval()(items)
        for item, out in zip(items, together, strict=True):
            (alone,) = model([item])
            assert out["panoptic_seg"][0].shape == (item["height"], item["width"])
            assert (out["panoptic_seg"][0] == alone["panoptic_seg"][0]).float().mean() > 0.99
            assert len(out["instances"]) == len(alone["instances"])
            assert out["instances"].pred_masks.shape[1:] == out["panoptic_seg"][0].shape


def test_an_image_without_objects_or_without_labels():
    model, mapper = quickstart()
    items = batch(mapper, 2)
    for item in items:
        item["sem_seg"].fill_(255)
        for name in ("center", "center_weights", "offset", "offset_weights"):
            item[name].zero_()
    losses = model(items)
    sum(losses.values()).backward()
    assert all(loss.item() == 0 for loss in losses.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_nothing_found():
    model, mapper = quickstart("model.threshold=1000.0")
    with torch.no_grad():
        outputs = model.eval()(batch(mapper, 2))
    for x in outputs:
        assert "instances" not in x
        labels = x["panoptic_seg"][0]
        assert set(labels.unique().tolist()) <= {-1, 2000}
    assert model([]) == []


def test_only_the_network_is_run():
    model, mapper = quickstart("model.benchmark_network_speed=True")
    assert model.eval()(batch(mapper, 1)) == []
    model, mapper = quickstart("model.predict_instances=False")
    assert set(model.eval()(batch(mapper, 1))[0]) == {"sem_seg", "panoptic_seg"}


WAITS = {True: 0, False: 3}  # for the number of centres, the pixels of things, the instances there are


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_waits_and_ops(training):
    model, mapper = quickstart()
    model.train(training)
    ops = []
    for n in (1, 2, 8) if not training else (2, 3, 8):
        items = batch(mapper, n)
        with torch.set_grad_enabled(training), SyncCounter() as counter:
            model(items)
        assert counter.num_syncs == WAITS[training], counter.waits()
        ops.append(counter.num_ops)
    assert max(ops) - min(ops) <= 40, ops


def test_waits_of_images_of_different_sizes():
    model, mapper = quickstart()
    items = batch(mapper, 4, [(64, 96), (80, 48)])
    with torch.no_grad(), SyncCounter() as counter:
        model.eval()(items)
    assert counter.num_syncs == WAITS[False], counter.waits()


def test_backbone_and_heads_compile_whole():
    model, mapper = quickstart()
    items = batch(mapper, 2)
    image = model.preprocess_image(items).tensor
    whole = {"backend": "eager", "fullgraph": True}
    features = torch.compile(model.backbone, **whole)(image)
    targets = [
        torch.stack([x[name] for x in items]) for name in ("center_weights", "offset", "offset_weights")
    ]
    center = torch.stack([x["center"] for x in items])[:, None]
    torch.compile(model.ins_embed_head, **whole)(features, center, *targets)
    labels, weights = (torch.stack([x[name] for x in items]) for name in ("sem_seg", "sem_seg_weights"))
    torch.compile(model.sem_seg_head, **whole)(features, labels, weights)


def test_autocast():
    model, mapper = quickstart()
    items = batch(mapper, 2)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model(items)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert len(model.eval()(items)) == 2


def test_inputs_that_cannot_be_used():
    model, mapper = quickstart()
    (item,) = batch(mapper, 1)
    lacking = {key: value for key, value in item.items() if key != "center"}
    with pytest.raises(ValueError, match=r"needs 'center'.*input 1 .* has none.*DatasetMapper"):
        model([item, lacking])
    with pytest.raises(ValueError, match=r"needs 'sem_seg'.*input 0 .* has one of shape \(3, 4\)"):
        model([{**item, "sem_seg": torch.zeros(3, 4).long()}, item])
    with pytest.raises(ValueError, match=r"thing_ids \[7\] are none of the 3 classes"):
        PanopticDeepLab(
            backbone=model.backbone,
            sem_seg_head=model.sem_seg_head,
            ins_embed_head=model.ins_embed_head,
            pixel_mean=[0.0],
            pixel_std=[1.0],
            thing_ids=[7],
        )


def test_evaluator_reads_classes_from_labels():
    dataset = ShapesDataset(num_images=3, image_size=64, label_maps="joint")
    evaluator = COCOPanopticEvaluator(dataset=dataset)
    for i in range(3):
        record = dataset[i]
        labels = torch.full((64, 64), -1)
        for number, segment in enumerate(record["segments_info"]):
            mask = torch.from_numpy(record["pan_seg"] == segment["id"])
            labels[mask] = segment["category_id"] * 1000 + (number if segment["isthing"] else 0)
        evaluator.process([record], [{"panoptic_seg": (labels, None)}])
    results = evaluator.evaluate()["panoptic_seg"]
    assert (results["PQ"], results["PQ_th"], results["PQ_st"]) == (100, 100, 100)
    with pytest.raises(ValueError, match="panoptic label 9001 is of class 9"):
        evaluator.process([record], [{"panoptic_seg": (labels.fill_(9001), None)}])


def test_readme_and_quickstart(tmp_path):
    (results,) = run_commands(FOLDER.parent / "README.md", tmp_path).values()
    assert "PQ" in results["panoptic_seg"]
    assert list((tmp_path / "pictures").glob("*.jpg"))
