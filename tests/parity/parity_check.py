"""One model against numbers that the reference implementation gave with the same weights and inputs.

A golden file holds, for one model: the keys, shapes and dtypes of its state_dict (or a digest of them); how
its weights are made from the names (`parity_fill`) and their checksum; outputs, outputs of submodules,
losses, gradient norms and logged statistics for the inputs of `parity_inputs`, turned into numbers by
`parity_numbers`.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import parity_inputs as inputs
import torch
from parity_fill import checksum, fill_
from parity_numbers import num
from torch import nn

from lazycfg.structures import BitMasks, Boxes, Instances, PolygonMasks, RotatedBoxes
from lazycfg.utils.events import EventStorage

GOLDEN = Path(__file__).parent / "golden"
RELATIVE = ABSOLUTE = 1e-4
GRADIENT = 1e-3
SEM_SEG_CLASSES = 54


def load_golden(name: str, folder: Path = GOLDEN) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def assert_parity(model: nn.Module, name: str, *, double_training: bool = False, device: str = "cpu") -> None:
    """All of one golden file; with `double_training` the training step in float64."""
    assert_golden(model, load_golden(name), double_training=double_training, device=device)


def assert_golden(
    model: nn.Module, golden: dict[str, Any], *, double_training: bool = False, device: str = "cpu"
) -> None:
    """As `assert_parity`, of a golden file that was read."""
    prepare(model, golden)
    model.to(device)
    assert_eval(model, golden)
    assert_training(model.double() if double_training else model, golden)


def prepare(model: nn.Module, golden: dict[str, Any]) -> None:
    """Check the names, fill in the weights."""
    state = {
        key: (list(t.shape), str(t.dtype).removeprefix("torch.")) for key, t in model.state_dict().items()
    }
    if isinstance(golden["state_dict"], str):
        lines = sorted(f"{key} {shape} {dtype}" for key, (shape, dtype) in state.items())
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == golden["state_dict"]
    else:
        assert state == {key: (shape, dtype) for key, shape, dtype in golden["state_dict"]}
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == golden["num_params_trainable"]
    fill_(model, golden["fill"]["scale"], golden["fill"]["rules"])
    assert checksum(model) == golden["fill"]["crc32"]


def make_batch(golden: dict[str, Any]) -> list[dict[str, Any]]:
    """The batch of a golden file, with the kinds of targets it names."""
    targets = golden.get("train", {}).get("targets", {})
    kinds = targets.get("kinds", "").split()
    classes = targets.get("sem_seg_classes", SEM_SEG_CLASSES)
    batch = []
    for i, (seed, h, w, out_h, out_w) in enumerate(inputs.IMAGES):
        item: dict[str, Any] = {"image": inputs.image(seed, h, w), "height": out_h, "width": out_w}
        if "instances" in kinds:
            item["instances"] = make_instances(i, (h, w), kinds, golden)
        if "sem_seg" in kinds:
            item["sem_seg"] = inputs.sem_seg(h, w, classes, shift=5 * i)
        batch.append(item)
    return batch


def make_instances(i: int, size: tuple[int, int], kinds: list[str], golden: dict[str, Any]) -> Instances:
    boxes = inputs.GT_BOXES[i]
    instances = Instances(size)
    instances.gt_boxes = Boxes(torch.tensor(boxes))
    instances.gt_classes = torch.tensor(golden["train"]["targets"]["classes"][i])
    if "rotated" in kinds:
        instances.gt_boxes = RotatedBoxes(torch.tensor(inputs.rotated(boxes)))
    polygons = PolygonMasks(inputs.polygons(boxes))
    if "polygons" in kinds:
        instances.gt_masks = polygons
    if "bitmasks" in kinds:
        instances.gt_masks = BitMasks.from_polygon_masks(polygons, *size)
    if "points" in kinds:
        instances.gt_point_coords, instances.gt_point_labels = inputs.points(boxes)
    if "densepose" in kinds:
        instances.gt_densepose = make_densepose(instances)
    if "keypoints" in kinds:
        from lazycfg.structures import Keypoints

        instances.gt_keypoints = Keypoints(torch.tensor(inputs.keypoints(boxes)))
    return instances


def make_densepose(instances: Instances) -> Any:
    """All objects but the last one carry the same annotation."""
    from lazycfg.projects.densepose import DensePoseDataRelative, DensePoseList

    data: list[Any] = [DensePoseDataRelative(inputs.densepose()) for _ in range(len(instances) - 1)]
    return DensePoseList([*data, None], instances.gt_boxes.tensor, instances.image_size)


@torch.no_grad()
def assert_eval(model: nn.Module, golden: dict[str, Any]) -> None:
    model.eval()
    batch = make_batch(golden)
    for item in batch:
        item.pop("instances", None)
    expected = golden["eval"]
    seen: dict[str, Any] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.__setitem__(name, num(output))
        )
        for name in expected["modules"]
    ]
    outputs = model(batch)
    for hook in hooks:
        hook.remove()
    for name, value in expected["modules"].items():
        compare(seen[name], value, f"modules.{name}")
    compare(num(outputs), expected["post"], "post")
    if "raw" in expected:
        compare(num(model.inference(batch, do_postprocess=False)), expected["raw"], "raw")


def assert_training(model: nn.Module, golden: dict[str, Any]) -> None:
    assert_norms(assert_losses(model, golden), golden)


def assert_losses(model: nn.Module, golden: dict[str, Any]) -> dict[str, float]:
    """Losses and statistics of a training step; returns the norms of the gradients."""
    expected = golden["train"]
    model.train()
    torch.manual_seed(expected["seed"])
    with EventStorage(0) as storage:
        losses = model(make_batch(golden))
        sum(losses.values()).backward()
    assert set(losses) == set(expected["losses"])
    for name, value in expected["losses"].items():
        got = losses[name].item()
        assert math.isclose(got, value, rel_tol=RELATIVE, abs_tol=1e-9), f"{name}: {got}, expected {value}"
    latest = {name: value for name, (value, _) in storage.latest().items()}
    for name, value in expected["storage"].items():
        assert math.isclose(latest[name], value, rel_tol=RELATIVE, abs_tol=1e-6), (name, latest[name], value)
    # in float64: the float32 norm of millions of numbers is off by 1e-3
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: grad.double().norm().item() for name, grad in grads.items()}


def assert_norms(norms: dict[str, float], golden: dict[str, Any], tolerance: float = GRADIENT) -> None:
    expected = golden["train"]
    assert set(norms) == set(expected["grad_norms"])
    floor = 1e-5 * expected["grad_norm"]
    wrong = {
        name: (norms[name], value)
        for name, value in expected["grad_norms"].items()
        if abs(norms[name] - value) > tolerance * max(value, floor)
    }
    assert not wrong, f"gradient norms (got, expected): {wrong}"


def compare(got: Any, expected: Any, path: str) -> None:
    """Assert that two trees of numbers are equal up to the tolerance."""
    if isinstance(expected, dict) and "image_size" in expected:
        compare_instances(got, expected, path)
    elif isinstance(expected, dict):
        assert set(got) == set(expected), f"{path}: {sorted(got)}, expected {sorted(expected)}"
        spread = expected.get("abs_mean", 0.0) * math.prod(expected.get("shape", ()))
        for key, value in expected.items():
            if key == "sum":  # of many numbers of both signs: compare with the sum of their sizes
                assert abs(got[key] - value) <= RELATIVE * max(spread, abs(value), 1.0), f"{path}.sum"
            elif key == "mean":
                continue
            else:
                compare(got[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), f"{path}: {len(got)} items, expected {len(expected)}"
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            compare(a, b, f"{path}.{i}")
    else:
        assert close(got, expected), f"{path}: {got}, expected {expected}"


def compare_instances(got: dict[str, Any], expected: dict[str, Any], path: str) -> None:
    """Instances in order of score; where scores are closer than the tolerance they may have swapped."""
    assert set(got) == set(expected), f"{path}: {sorted(got)}, expected {sorted(expected)}"
    assert (got["count"], got["image_size"]) == (expected["count"], expected["image_size"]), path
    nested = [name for name, value in expected.items() if isinstance(value, dict) and "shape" not in value]
    for name in nested:  # maps of the objects under names of their own
        compare(got[name], expected[name], f"{path}.{name}")
    fields = [name for name in expected if isinstance(expected[name], dict) and name not in nested]
    for name in fields:
        assert got[name]["shape"] == expected[name]["shape"], f"{path}.{name}"
        scale = max(abs(expected[name].get("sum", 0.0)), 1.0)
        assert abs(got[name].get("sum", 0.0) - expected[name].get("sum", 0.0)) <= 1e-3 * scale, (
            f"{path}.{name}.sum"
        )
    rows, expected_rows = instance_rows(got, fields), instance_rows(expected, fields)
    assert len(rows) == len(expected_rows), path
    for i, row in enumerate(expected_rows):
        near = rows[max(0, i - 2) : i + 3]
        assert any(same_row(other, row) for other in near), (
            f"{path}: instance {i} is {rows[i]}, expected {row}"
        )


def instance_rows(instances: dict[str, Any], fields: list[str]) -> list[dict[str, Any]]:
    """What is known of the first instances, one dict each."""
    columns = {}
    for name in fields:
        for key in ("first", "per_instance_mean", "areas"):
            if key in instances[name] and len(instances[name][key]) >= min(20, instances["count"]):
                columns[f"{name}.{key}"] = instances[name][key]
    length = min((len(column) for column in columns.values()), default=0)
    return [{name: column[i] for name, column in columns.items()} for i in range(length)]


def same_row(got: dict[str, Any], expected: dict[str, Any]) -> bool:
    for name, value in expected.items():
        if name.endswith(".areas"):  # a pixel on the contour may fall to either side
            if abs(got[name] - value) > max(2, 5e-3 * value):
                return False
        elif not all_close(got[name], value):
            return False
    return True


def all_close(got: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(got) == len(expected) and all(all_close(a, b) for a, b in zip(got, expected, strict=True))
    return close(got, expected)


def close(got: Any, expected: Any) -> bool:
    if isinstance(expected, float) or (isinstance(expected, int) and isinstance(got, float)):
        return math.isclose(got, expected, rel_tol=RELATIVE) or abs(got - expected) <= ABSOLUTE + 1e-4 * abs(
            expected
        )
    return got == expected
