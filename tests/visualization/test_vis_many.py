"""Many objects, large and tiny images, letters that a font lacks, titles."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lazycfg.data import Metadata
from lazycfg.engine.prediction_images import save_pictures
from lazycfg.structures import Boxes, BoxMode, Instances
from lazycfg.structures.rasterize import pack_polygons, rasterize_images, rasterize_windows
from lazycfg.visualization import Canvas, as_rgb, draw_ground_truth, draw_instances, fonts, side_by_side

NAMES = Metadata(thing_classes=("book", "car"))


def record(count, size, *, seed=0, largest=20):
    """Boxes with polygons, anywhere."""
    rng = np.random.default_rng(seed)
    annotations = []
    for _ in range(count):
        x, y = rng.uniform(0, size[1] - largest), rng.uniform(0, size[0] - largest)
        w, h = rng.uniform(largest / 3, largest, 2)
        annotations.append(
            {
                "bbox": [x, y, w, h],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": int(rng.integers(2)),
                "iscrowd": 0,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
        )
    return {"annotations": annotations, "image": np.full((*size, 3), 90, np.uint8)}


def seconds(count):
    start = time.process_time()
    draw_ground_truth(record(count, (480, 640)), NAMES)
    return time.process_time() - start


def test_the_cost_of_an_object_does_not_grow_with_their_number():
    seconds(10)
    few, many = min(seconds(100) for _ in range(3)), seconds(1000)
    assert many < 30 * few  # ten times as many; quadratic: 100 times


def test_labels_leave_most_of_a_crowded_image_free(monkeypatch):
    monkeypatch.setattr(Canvas, "on", classmethod(lambda cls, image, **_: canvas))
    canvas = Canvas(np.zeros((480, 640, 3), np.uint8))
    draw_ground_truth(record(2000, (480, 640)), NAMES)
    covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in canvas._labels)
    assert 10 < len(canvas._labels) < 300
    assert covered < 0.3 * 480 * 640


def test_a_label_that_would_hide_others_is_left_out():
    canvas = Canvas(np.zeros((100, 30, 3), np.uint8), 1)
    for _ in range(40):
        canvas.label("book 97%", (0, 0, 30, 100), (255, 0, 0), only_where_free=True)
    covered = len(canvas._labels)
    assert 2 < covered < 12
    canvas.label("book 97%", (0, 0, 30, 100), (255, 0, 0))
    assert len(canvas._labels) == covered + 1


def test_windows_are_the_same_masks():
    rng = np.random.default_rng(0)
    objects = [[rng.uniform(-20, 120, 2 * n) for n in rng.integers(3, 7, k)] for k in (1, 2, 3, 1, 4)]
    objects.append([np.array([500.0, 500, 510, 500, 510, 510])])  # outside
    packed = pack_polygons(objects)
    whole = rasterize_images(packed, 90, 100).numpy()
    for mask, window in zip(whole, rasterize_windows(packed, 90, 100), strict=True):
        if window is None:
            assert not mask.any()
            continue
        inside, y0, x0 = window
        assert inside.sum() == mask.sum()
        assert (mask[y0 : y0 + inside.shape[0], x0 : x0 + inside.shape[1]] == inside).all()


class Model(nn.Module):
    """Says what it was told to, in the size that is asked for."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.tensor(scores)
        self.sizes = []

    def forward(self, batch):
        size = (batch[0]["height"], batch[0]["width"])
        self.sizes.append(size)
        found = Instances(
            size, pred_boxes=Boxes(torch.tensor([[0.0, 0, size[1] / 2, size[0]]])[[0] * len(self.scores)])
        )
        found.scores, found.pred_classes = self.scores, torch.zeros(len(self.scores), dtype=torch.long)
        return [{"instances": found}]


def loader(size, count=3):
    class Records(list):
        metadata = NAMES

    one = {**record(count, size, largest=min(20, *size)), "height": size[0], "width": size[1], "image_id": 1}
    sample = {"image": torch.zeros(3, *size), "height": size[0], "width": size[1]}

    class Mapped(list):
        dataset = Records([one])

    return SimpleNamespace(dataset=Mapped([sample]))


def titles(monkeypatch, tmp_path, scores, size=(60, 80), count=3):
    seen = []

    def spy(images, texts):
        seen.append((list(texts), [image.shape for image in images]))
        return side_by_side(images, texts)

    monkeypatch.setattr("lazycfg.engine.prediction_images.side_by_side", spy)
    model = Model(scores)
    (path,) = save_pictures(model, loader(size, count), tmp_path)
    return seen[0], model.sizes, Image.open(path).size


@pytest.mark.parametrize(
    ("scores", "title"),
    [
        ([0.9, 0.6, 0.1], "prediction: 2 objects above 0.5"),
        ([0.5], "prediction: 1 object above 0.5"),
        ([0.31, 0.2], "prediction: none of 2 above 0.5, best 0.31"),
        ([], "prediction: nothing found"),
        ([0.9] * 1500, "prediction: 1,500 objects above 0.5, the best 100 drawn"),
    ],
)
def test_titles_say_how_many_objects(monkeypatch, tmp_path, scores, title):
    (texts, _), _, _ = titles(monkeypatch, tmp_path, scores)
    assert texts == ["ground truth: 3 objects", title]


def test_large_images_are_drawn_smaller(monkeypatch, tmp_path):
    (_, shapes), sizes, size = titles(monkeypatch, tmp_path, [0.9], size=(1000, 8000), count=1200)
    assert shapes == [(200, 1600, 3)] * 2
    assert sizes == [(200, 1600)]
    assert size == (3208, 200 + 19)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 4000)])
def test_titles_of_tiny_images_are_readable(monkeypatch, tmp_path, size):
    (texts, shapes), _, (width, _) = titles(monkeypatch, tmp_path, [0.3], size=size, count=1)
    needed = [fonts.font_for(text, 12).getlength(text) for text in texts]
    assert width >= sum(max(n, shape[1]) for n, shape in zip(needed, shapes, strict=True))
    assert max(shape[1] for shape in shapes) <= 4000


def test_a_tensor_of_an_image_three_pixels_wide():
    array = np.random.default_rng(0).integers(0, 256, (40, 3, 3), dtype=np.uint8)
    assert np.array_equal(as_rgb(torch.from_numpy(array).permute(2, 0, 1)), array)


def test_letters_that_no_font_has(monkeypatch):
    monkeypatch.setattr(fonts, "_FURTHER", ())
    fonts._name_for.cache_clear()
    blank = np.full((200, 300, 3), 128, np.uint8)
    instances = Instances((200, 300), pred_boxes=Boxes(torch.tensor([[20.0, 60, 200, 150]])))
    instances.pred_classes = torch.tensor([1])
    strange = Metadata(thing_classes=("x", "\U0001f9ff\U000f0000"))
    with pytest.warns(UserWarning, match=r"'class 1' is drawn in its place. Pass font=FILE"):
        drawn = draw_instances(blank, instances, strange, scale=2)
    named = Metadata(thing_classes=("x", "class 1"))
    assert np.array_equal(drawn, draw_instances(blank, instances, named, scale=2))
    accents = Metadata(thing_classes=("x", "Ähre"))
    draw_instances(blank, instances, accents)  # without a warning
    with pytest.raises(ValueError, match=r"font='no_such\.ttf' cannot be read"):
        draw_instances(blank, instances, named, font="no_such.ttf")
    fonts._name_for.cache_clear()


def test_a_font_of_ones_own(tmp_path):
    from io import BytesIO

    from PIL import ImageFont

    given = ImageFont.load_default(16)
    file = tmp_path / "mine.ttf"
    file.write_bytes(
        given.font_bytes if hasattr(given, "font_bytes") else BytesIO(given.path.getvalue()).read()
    )
    blank = np.full((200, 300, 3), 128, np.uint8)
    instances = Instances((200, 300), pred_boxes=Boxes(torch.tensor([[20.0, 60, 200, 150]])))
    instances.pred_classes = torch.tensor([0])
    mine = draw_instances(blank, instances, NAMES, font=file, scale=2)
    assert not np.array_equal(mine, draw_instances(blank, instances, NAMES, scale=2))
