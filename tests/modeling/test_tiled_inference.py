"""Tiled inference: where tiles lie, how detections are merged, and what a model finds in them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_rcnn import tiny_model
from torch import nn

from lazycfg.data import DatasetMapper
from lazycfg.data import transforms as T
from lazycfg.engine import Predictor
from lazycfg.layers import batched_nms_ios
from lazycfg.modeling import TiledInference
from lazycfg.structures import Boxes, Instances, ROIMasks, RotatedBoxes
from lazycfg.utils.tiles import tile_boxes


def slices_of_sahi(height, width, size, overlap):
    """The published loop."""
    found, y_max, y_min = [], 0, 0
    over_y, over_x = (int(o * s) for o, s in zip(overlap, size, strict=True))
    while y_max < height:
        x_min = x_max = 0
        y_max = y_min + size[0]
        while x_max < width:
            x_max = x_min + size[1]
            if y_max > height or x_max > width:
                x1, y1 = min(width, x_max), min(height, y_max)
                found.append((max(0, x1 - size[1]), max(0, y1 - size[0]), x1, y1))
            else:
                found.append((x_min, y_min, x_max, y_max))
            x_min = x_max - over_x
        y_min = y_max - over_y
    return found


@settings(deadline=None)
@given(
    sides=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.tuples(st.integers(20, 120), st.integers(20, 120)),
    overlap=st.tuples(st.floats(0, 0.7), st.floats(0, 0.7)),
)
def test_tiles_are_those_of_sahi_and_cover_the_image(sides, size, overlap):
    tiles = tile_boxes(*sides, size, overlap)
    assert tiles == slices_of_sahi(*sides, size, overlap)
    assert len(set(tiles)) == len(tiles)
    seen = np.zeros(sides, bool)
    for x0, y0, x1, y1 in tiles:
        assert (y1 - y0, x1 - x0) == (min(size[0], sides[0]), min(size[1], sides[1]))
        seen[y0:y1, x0:x1] = True
    assert seen.all()


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 60), st.floats(0, 0.95))
def test_suppression_by_the_smaller_area_is_the_plain_loop(seed, count, threshold):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 50
    boxes = torch.cat((low, low + torch.rand(count, 2, generator=generator) * 40 + 1), dim=1)
    scores = torch.rand(count, generator=generator)
    groups = torch.randint(0, 3, (count,), generator=generator)
    expected = []
    for i in scores.argsort(descending=True).tolist():
        alive = True
        for j in expected:
            inter = torch.minimum(boxes[i, 2:], boxes[j, 2:]) - torch.maximum(boxes[i, :2], boxes[j, :2])
            smaller = min((b[2:] - b[:2]).prod() for b in (boxes[i], boxes[j]))
            over = inter.clamp(min=0).prod() / smaller > threshold
            alive &= not (over and groups[i] == groups[j])
        expected += [i] if alive else []
    assert batched_nms_ios(boxes, scores, groups, threshold).tolist() == expected


class Bright(nn.Module):
    """Finds the bounding box of each gray value above 0 within an image: class = value % 2."""

    input_format = "RGB"

    def __init__(self, kind="boxes"):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.kind = kind
        self.seen = []

    def forward(self, batched_inputs):
        assert len({x["image"].shape for x in batched_inputs}) == 1
        return [{"instances": self.detect(x)} for x in batched_inputs]

    def detect(self, x):
        gray = x["image"][0]
        self.seen.append(tuple(gray.shape))
        values = [v for v in gray.unique().tolist() if v > 0]
        factor = torch.tensor([x["width"] / gray.shape[1], x["height"] / gray.shape[0]]).repeat(2)
        masks = torch.stack([gray == v for v in values]) if values else torch.zeros(0, *gray.shape).bool()
        boxes = []
        for mask in masks:
            ys, xs = mask.nonzero(as_tuple=True)
            boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) * factor
        found = Instances((x["height"], x["width"]))
        found.pred_boxes = Boxes(boxes)
        found.scores = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) / 1e5  # the whole object is best
        found.pred_classes = torch.tensor(values, dtype=torch.int64) % 2
        found.value = torch.tensor(values)
        if self.kind == "masks":
            found.pred_masks = masks
        if self.kind == "roi":
            found.pred_masks = ROIMasks(torch.ones(len(values), 8, 8))
        if self.kind == "keypoints":
            middle = (boxes[:, :2] + boxes[:, 2:]) / 2
            found.pred_keypoints = torch.cat((middle, torch.ones(len(values), 1)), dim=1)[:, None]
        if self.kind == "rotated":
            middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
            found.pred_boxes = RotatedBoxes(torch.cat((middle, sides, sides[:, :1] * 0), dim=1))
        return found


def picture(height=200, width=300, count=9, seed=0):
    """An image with squares of one gray value each, and their boxes."""
    rng = np.random.default_rng(seed)
    image, boxes = torch.zeros(3, height, width, dtype=torch.uint8), []
    for number in range(count):
        row, column = divmod(number, 3)
        h, w = rng.integers(10, 45, 2).tolist()
        y, x = row * 65 + int(rng.integers(0, 10)), column * 95 + int(rng.integers(0, 40))
        image[:, y : y + h, x : x + w] = number + 1
        boxes.append([x, y, x + w, y + h])
    return image, torch.tensor(boxes, dtype=torch.float32)


def by_value(instances):
    return instances[instances.value.argsort()]


@pytest.mark.parametrize(
    "options", [{}, {"full_image": False}, {"match_metric": "IOU", "class_agnostic": True}]
)
@pytest.mark.parametrize("seed", range(4))
def test_objects_are_found_where_they_are(options, seed):
    image, boxes = picture(seed=seed)
    model = TiledInference(model=Bright(), slice_size=100, overlap=0.5, batch_size=3, **options).eval()
    (output,) = model([{"image": image}])
    found = by_value(output["instances"])
    if options.get("match_metric", "IOS") == "IOS":  # parts at the border of a tile are gone
        assert torch.equal(found.pred_boxes.tensor, boxes)
        assert found.pred_classes.tolist() == [(v + 1) % 2 for v in range(9)]
    else:
        whole = {tuple(b) for b in found.pred_boxes.tensor.tolist()}
        assert {tuple(b) for b in boxes.tolist()} <= whole
    assert (output["instances"].scores.diff() <= 0).all()


def test_whole_images_are_looked_at_for_what_is_larger_than_a_tile():
    image = torch.zeros(3, 150, 150, dtype=torch.uint8)
    image[:, 10:140, 5:145] = 7
    parts = TiledInference(model=Bright(), slice_size=64, full_image=False).eval()([{"image": image}])[0]
    whole = TiledInference(model=Bright(), slice_size=64).eval()([{"image": image}])[0]["instances"]
    assert len(parts["instances"]) > 1
    assert whole.pred_boxes.tensor.tolist() == [[5, 10, 145, 140]]


@pytest.mark.parametrize("kind", ["masks", "roi", "keypoints", "rotated"])
def test_further_fields_are_in_pixels_of_the_whole_image(kind):
    image, boxes = picture()
    model = TiledInference(model=Bright(kind), slice_size=(90, 110), overlap=0.5, full_image=False).eval()
    output = model([{"image": image, "height": 400, "width": 600}, {"image": image[:, :50, :60]}])
    found = by_value(output[0]["instances"])
    assert found.image_size == (400, 600)
    if kind == "rotated":
        found = found[found.pred_boxes.area() >= 399]  # IOU leaves parts
    middle = boxes[:, :2] + boxes[:, 2:]
    if kind == "masks":
        assert torch.equal(found.pred_boxes.tensor, boxes * 2)
        expected = torch.stack([image[0] == v + 1 for v in range(9)])
        assert torch.equal(found.pred_masks[:, ::2, ::2], expected)
    elif kind == "roi":
        assert isinstance(found.pred_masks, ROIMasks)
        assert len(found.pred_masks) == 9
    elif kind == "keypoints":
        assert torch.equal(found.pred_keypoints[:, 0, :2], middle)
    else:
        centers = found.pred_boxes.tensor[:, :2]
        assert all((centers - point).abs().sum(dim=1).min() == 0 for point in middle)
    assert output[1]["instances"].image_size == (50, 60)


def test_tiles_are_resized_and_batched_by_size():
    image, boxes = picture()
    bright = Bright()
    model = TiledInference(
        model=bright, slice_size=100, resize=T.ResizeShortestEdge(200, interp="nearest"), batch_size=4
    ).eval()
    found = by_value(model([{"image": image}])[0]["instances"])
    assert set(bright.seen) == {(200, 200), (200, 300)}
    assert (found.pred_boxes.tensor - boxes).abs().max() <= 1


def test_a_small_image_is_one_tile_as_it_is():
    image, _ = picture()
    bright = Bright()
    plain = bright([{"image": image, "height": 200, "width": 300}])[0]["instances"]
    bright.seen.clear()
    found = by_value(TiledInference(model=bright, slice_size=400).eval()([{"image": image}])[0]["instances"])
    assert bright.seen == [(200, 300)]
    assert torch.equal(found.pred_boxes.tensor, plain.pred_boxes.tensor)
    nothing = TiledInference(model=bright).eval()([{"image": torch.zeros(3, 40, 50).byte()}])[0]["instances"]
    assert len(nothing) == 0
    best = TiledInference(model=bright, max_detections=2).eval()([{"image": image}])[0]["instances"]
    assert len(best) == 2


def test_masks_of_a_real_model_are_pasted_once_in_the_whole_image():
    model = tiny_model().eval()
    tiled = TiledInference(model=model, slice_size=64, full_image=False, max_detections=5).eval()
    image = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = tiled([{"image": image, "height": 192, "width": 256}])[0]["instances"]
    assert model.paste_masks
    assert 0 < len(found) <= 5
    assert found.pred_masks.shape == (len(found), 192, 256)
    assert found.pred_masks.dtype == torch.bool
    for box, mask in zip(found.pred_boxes.tensor, found.pred_masks, strict=True):
        ys, xs = mask.nonzero(as_tuple=True)
        if len(ys):
            assert xs.min() >= box[0] - 2 and xs.max() <= box[2] + 2  # noqa: PT018
    one = model([{"image": image[:, :64, :64], "height": 128, "width": 128}])[0]["instances"]
    whole = TiledInference(model=model, slice_size=64, full_image=False).eval()
    alone = whole([{"image": image[:, :64, :64], "height": 128, "width": 128}])[0]["instances"]
    best = one.scores.argmax()
    assert torch.allclose(alone.pred_boxes.tensor[0], one.pred_boxes.tensor[best], atol=1e-4)
    assert torch.equal(alone.pred_masks[0], one.pred_masks[best])


def test_training_and_weights_are_those_of_the_model():
    model = tiny_model()
    tiled = TiledInference(model=model)
    assert tiled.input_format == model.input_format
    with pytest.raises(ValueError, match="instances"):
        tiled.train()([{"image": torch.zeros(3, 64, 64)}])


def test_a_predictor_looks_at_tiles():
    image, boxes = picture()
    mapper = DatasetMapper(
        is_train=False, image_format="RGB", augmentations=[T.Resize(100, interp="nearest")]
    )
    predictor = Predictor(
        Bright(), mapper=mapper, tiles={"slice_size": 100, "overlap": 0.5}, channel_order="RGB", device=None
    )
    found = by_value(predictor(image))
    assert (found.pred_boxes.tensor - boxes).abs().max() <= 1
    assert mapper.augmentations.augs  # the given one stays as it was
    with pytest.raises(ValueError, match="cannot be moved to the tiles"):
        Predictor(Bright(), mapper=lambda record: record, tiles={"slice_size": 100}, device=None)


class Other(Bright):
    def detect(self, x):
        found = super().detect(x)
        if self.kind == "bare":
            found.remove("scores")
        if self.kind == "list":
            found.names = ["a"] * len(found)
        return found

    def forward(self, batched_inputs):
        output = super().forward(batched_inputs)
        return [{**x, "sem_seg": 0} for x in output] if self.kind == "semantic" else output


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("semantic", "Other gives 'instances', 'sem_seg'"),
        ("bare", "the detections of Other have no scores"),
        ("list", "'names' is a list"),
    ],
)
def test_what_cannot_be_merged_is_refused(kind, message):
    with pytest.raises(TypeError, match=message):
        TiledInference(model=Other(kind)).eval()([{"image": picture()[0]}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slice_size": 0}, r"slice_size must be \(height, width\)"),
        ({"slice_size": (10.5, 3)}, "slice_size must be"),
        ({"overlap": 1.0}, "overlap must be a part of the slice"),
        ({"match_metric": "GIOU"}, 'match_metric must be "IOU" or "IOS"'),
        ({"match_threshold": 2}, "match_threshold must lie"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_detections": 0}, "max_detections must be at least 1"),
        ({"resize": 800}, "resize must be an augmentation"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TiledInference(model=Bright(), **options)
