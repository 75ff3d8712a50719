"""What is drawn, and where."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.structures import BitMasks, Boxes, BoxMode, Instances, PolygonMasks, ROIMasks
from lazycfg.visualization import (
    Canvas,
    Visualizer,
    as_rgb,
    colormap,
    draw_ground_truth,
    draw_instances,
    draw_panoptic_seg,
    draw_sem_seg,
    side_by_side,
)

SIZE = (480, 640)
BOX = (100.0, 120.0, 300.0, 400.0)
NAMES = SimpleNamespace(thing_classes=("cat", "dog"), thing_colors=((255, 0, 0), (0, 255, 0)))


def blank(size=SIZE, value=128):
    return np.full((*size, 3), value, dtype=np.uint8)


def changed(picture, before=None):
    before = blank(picture.shape[:2]) if before is None else before
    return (picture.astype(int) - before != 0).any(axis=2)


def one(**fields):
    return Instances(SIZE, pred_boxes=Boxes(torch.tensor([BOX])), pred_classes=torch.tensor([0]), **fields)


def inside(x0=100, y0=120, x1=300, y1=400):
    mask = torch.zeros(1, *SIZE, dtype=torch.bool)
    mask[:, y0:y1, x0:x1] = True
    return mask


def test_boxes_are_drawn_on_their_own_pixels():
    picture = draw_instances(blank(), one().to("cpu"), NAMES)
    assert tuple(picture[260, 100]) == (255, 0, 0)
    assert tuple(picture[260, 299]) == (255, 0, 0)
    assert tuple(picture[399, 200]) == (255, 0, 0)
    touched = changed(picture)
    touched[90:150, 95:200] = False  # the label
    rows, columns = np.nonzero(touched)
    assert (columns.min(), columns.max(), rows.max()) == (100, 299, 399)
    assert not changed(picture)[150:390, 110:290].any()


@pytest.mark.parametrize("kind", ["tensor", "bitmasks", "polygons", "roi", "roi tensor", "soft"])
def test_masks_of_every_form_cover_the_same_pixels(kind):
    polygon = np.array([100.0, 120, 300, 120, 300, 400, 100, 400])
    masks = {
        "tensor": inside(),
        "bitmasks": BitMasks(inside()),
        "polygons": PolygonMasks([[polygon]]),
        "roi": ROIMasks(torch.ones(1, 28, 28)),
        "roi tensor": torch.ones(1, 1, 28, 28),
        "soft": inside().float() * 0.8,
    }[kind]
    picture = draw_instances(blank(), one(pred_masks=masks), NAMES)
    touched = changed(picture)
    touched[90:150, 95:200] = True
    expected = inside()[0].numpy()
    expected[90:150, 95:200] = True
    np.testing.assert_array_equal(touched, expected)
    tint = picture[300, 200].astype(int)
    assert tint[0] > 170
    assert tint[1] < 90
    assert tint[1] > 40  # still transparent


def test_masks_have_an_outline():
    picture = draw_instances(
        blank(), Instances(SIZE, pred_masks=inside(), pred_classes=torch.tensor([0])), NAMES
    )
    assert picture[398, 200, 0] > picture[300, 200, 0] + 30


def test_scores_choose_what_is_drawn():
    boxes = Boxes(torch.tensor([BOX, (400.0, 120, 500, 200)]))
    instances = Instances(
        SIZE, pred_boxes=boxes, pred_classes=torch.tensor([0, 1]), scores=torch.tensor([0.2, 0.9])
    )
    picture = draw_instances(blank(), instances, NAMES, score_threshold=0.5)
    assert not changed(picture)[:, :350].any()
    assert changed(picture)[:, 400:].any()
    np.testing.assert_array_equal(draw_instances(blank(), instances, NAMES, max_instances=1), picture)


def test_targets_are_drawn_like_predictions():
    target = Instances(
        SIZE, gt_boxes=Boxes(torch.tensor([BOX])), gt_classes=torch.tensor([0]), gt_masks=BitMasks(inside())
    )
    prediction = one(pred_masks=inside())
    np.testing.assert_array_equal(
        draw_instances(blank(), target, NAMES), draw_instances(blank(), prediction, NAMES)
    )


def test_instances_of_another_size_are_scaled():
    half = Instances(
        (240, 320),
        pred_boxes=Boxes(torch.tensor([BOX]) / 2),
        pred_classes=torch.tensor([0]),
        pred_masks=inside()[:, ::2, ::2],
        pred_keypoints=torch.tensor([[[100.0, 150.0, 1.0]]]),
    )
    full = one(pred_masks=inside(), pred_keypoints=torch.tensor([[[200.0, 300.0, 1.0]]]))
    difference = changed(draw_instances(blank(), half, NAMES), draw_instances(blank(), full, NAMES))
    assert difference.mean() < 0.002


def test_no_objects():
    empty = Instances(
        SIZE, pred_boxes=Boxes(torch.zeros(0, 4)), scores=torch.zeros(0), pred_classes=torch.zeros(0)
    )
    np.testing.assert_array_equal(draw_instances(blank(), empty), blank())
    np.testing.assert_array_equal(draw_instances(blank(), Instances(SIZE)), blank())


def test_boxes_out_of_the_picture_and_degenerate_ones():
    boxes = [
        (-50.0, -50, 20, 20),
        (630.0, 470, 900, 900),
        (5.0, 5, 5, 5),
        (700.0, 500, 800, 600),
        (0.0, 0, 640, 480),
    ]
    instances = Instances(SIZE, pred_boxes=Boxes(torch.tensor(boxes)), pred_classes=torch.tensor([0] * 5))
    assert draw_instances(blank(), instances).shape == (*SIZE, 3)


def test_keypoints_and_connections():
    metadata = SimpleNamespace(
        thing_classes=("person",),
        keypoint_names=("a", "b", "c"),
        keypoint_connection_rules=(("a", "b", (0, 0, 255)), ("b", "c", (0, 255, 0))),
    )
    points = torch.tensor([[[150.0, 200, 0.9], [250, 200, 0.9], [250, 350, 0.01]]])
    picture = draw_instances(blank(), one(pred_keypoints=points), metadata)
    assert tuple(picture[200, 200]) == (0, 0, 255)
    assert not changed(picture)[280, 200:290].any()  # c is below the threshold
    assert changed(picture)[200, 250]
    record = {"annotations": [{"bbox": BOX, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}]}
    record["annotations"][0]["keypoints"] = [150, 200, 2, 250, 200, 1, 0, 0, 0]
    picture = draw_ground_truth(record, metadata, image=blank())
    assert tuple(picture[200, 200]) == (0, 0, 255)
    assert not changed(picture)[:80, :80].any()


def test_ground_truth_of_a_record(tmp_path):
    rle = {"size": [480, 640], "counts": [480 * 400, 480 * 10, 480 * 230]}
    common = {"bbox_mode": BoxMode.XYWH_ABS, "iscrowd": 0}
    record = {
        "file_name": str(tmp_path / "x.png"),
        "annotations": [
            {
                **common,
                "bbox": [100, 120, 200, 280],
                "category_id": 0,
                "segmentation": [[100, 120, 300, 120, 100, 400]],
            },
            {**common, "bbox": [400, 0, 10, 480], "category_id": 1, "segmentation": rle, "iscrowd": 1},
        ],
    }
    Image.fromarray(blank()).save(record["file_name"])
    picture = draw_ground_truth(record, NAMES)
    np.testing.assert_array_equal(picture, draw_ground_truth({**record, "image": blank()}, NAMES))
    assert picture[200, 150, 0] > 170  # in the triangle
    assert not changed(picture)[390, 290]  # in its box only
    assert picture[240, 405, 1] > 170
    assert len(np.unique(changed(picture)[:, 420:].any(axis=1))) == 2  # the crowd's label
    dashed = draw_ground_truth(
        {**record, "annotations": [{**common, "bbox": [100, 120, 200, 280], "category_id": 0, "iscrowd": 1}]},
        NAMES,
        image=blank(),
    )
    border = changed(dashed)[150:390, 100]
    assert 0.3 < border.mean() < 0.7


@pytest.mark.parametrize("size", [(40, 60), (128, 128), (100, 2000), (2000, 90), (1200, 1600)])
def test_labels_stay_inside_and_apart(size):
    canvas = Canvas(blank(size))
    height, width = size
    for x in (0.0, 0.5, 0.98):
        for y in (0.0, 0.5, 0.98):
            canvas.label("zebra 97%", (x * width, y * height, x * width + 5, y * height + 5), (255, 0, 0))
    picture_height, picture_width = canvas.image.shape[:2]
    for x0, y0, x1, y1 in canvas._labels:
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= picture_width
        assert y1 <= picture_height
    if min(size) >= 128:
        for i, a in enumerate(canvas._labels):
            for b in canvas._labels[i + 1 :]:
                assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])


def test_long_labels_are_shortened():
    canvas = Canvas(blank((200, 60)), scale=1)
    canvas.label("a very long name of a class " * 3, (0, 50, 50, 60), (255, 0, 0))
    x0, _, x1, _ = canvas._labels[0]
    assert x0 >= 0
    assert x1 <= 60


def test_small_pictures_are_enlarged_and_large_ones_are_not():
    assert Canvas(blank((100, 200))).image.shape == (400, 800, 3)
    assert Canvas(blank((480, 640))).image.shape == (480, 640, 3)
    assert Canvas(blank((100, 200)), scale=1).image.shape == (100, 200, 3)
    assert Canvas(blank((100, 200)), scale=0.5).image.shape == (50, 100, 3)
    assert Canvas(blank((2000, 3000))).line_width > Canvas(blank()).line_width
    picture = draw_instances(
        blank((60, 80)), Instances((60, 80), pred_masks=torch.ones(1, 60, 80, dtype=torch.bool)), None
    )
    assert changed(picture).mean() > 0.999


def test_semantic_labels():
    labels = np.zeros((480, 640), dtype=np.int64)
    labels[240:] = 1
    labels[:, :100] = 255
    metadata = SimpleNamespace(
        stuff_classes=("sky", "road"), stuff_colors=((0, 0, 255), (0, 255, 0)), ignore_label=255
    )
    picture = draw_sem_seg(blank(), torch.from_numpy(labels), metadata)
    assert not changed(picture)[:, :100].any()
    assert picture[20, 150, 2] > 180
    assert picture[470, 150, 1] > 180
    assert draw_sem_seg(blank(), labels).shape == (480, 640, 3)


def test_panoptic_segments():
    segments = np.zeros((480, 640), dtype=np.int64)
    segments[300:] = 1
    segments[100:200, 100:200] = 7
    info = [
        {"id": 7, "isthing": True, "category_id": 1, "score": 0.9},
        {"id": 1, "isthing": False, "category_id": 0},
    ]
    metadata = SimpleNamespace(
        thing_classes=("cat", "dog"), stuff_classes=("road",), stuff_colors=((0, 0, 255),)
    )
    touched = changed(draw_panoptic_seg(blank(), torch.from_numpy(segments), info, metadata))
    assert touched[segments > 0].all()
    assert touched[segments == 0].mean() < 0.02  # at most a bit of a label


def test_pictures_of_every_kind():
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tensor = torch.from_numpy(array)
    for other in (
        array,
        tensor,
        tensor.permute(2, 0, 1),
        tensor.float(),
        array / 255.0,
        Image.fromarray(array),
    ):
        np.testing.assert_array_equal(as_rgb(other), array)
    assert as_rgb(array[:, :, 0]).shape == (5, 7, 3)
    with pytest.raises(ValueError, match=r"\(5, 7, 2\)"):
        as_rgb(array[:, :, :2])


def test_side_by_side():
    picture = side_by_side([blank((100, 50)), blank((200, 300), 10)], ["left", "right"], gap=8)
    assert picture.shape[1] == 100 + 8 + 300
    assert picture.shape[0] > 200
    assert tuple(picture[-1, 0]) == (128, 128, 128)
    assert tuple(picture[-1, 104]) == (255, 255, 255)
    assert tuple(picture[-1, -1]) == (10, 10, 10)
    assert side_by_side([blank()]).shape == (480, 640, 3)
    with pytest.raises(ValueError, match="1 titles for 2 images"):
        side_by_side([blank(), blank()], ["a"])


def test_colors_differ():
    colors = colormap(100)
    assert len(set(colors)) == 100
    assert colors[:5] == colormap(5)
    first = np.array(colors[:14])
    distances = np.abs(first[:, None] - first[None]).sum(axis=2) + 1000 * np.eye(14, dtype=int)
    assert distances.min() >= 60


def test_visualizer_draws_one_thing_after_the_other(tmp_path):
    visualizer = Visualizer(blank((100, 200)), NAMES, scale=2.0)
    labels = np.zeros((100, 200), dtype=np.int64)
    visualizer.draw_sem_seg(labels)
    record = {"annotations": [{"bbox": (20, 40, 60, 80), "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}]}
    visualizer.draw_dataset_dict(record)
    instances = Instances(
        (100, 200), pred_boxes=Boxes(torch.tensor([[120.0, 40, 160, 80]])), scores=torch.ones(1)
    )
    picture = visualizer.draw_instance_predictions(instances)
    picture.save(tmp_path / "x.png")
    pixels = np.asarray(Image.open(tmp_path / "x.png"))
    np.testing.assert_array_equal(pixels, picture.get_image())
    assert pixels.shape == (200, 400, 3)
    assert tuple(pixels[120, 40]) == (255, 0, 0)
    assert tuple(pixels[120, 240]) == colormap(1)[0]
    assert changed(pixels).all()  # tinted everywhere
    assert picture._repr_png_().startswith(b"\x89PNG")


class Stripes:
    """A field of `Instances` that no function of the library knows."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return Stripes(len(torch.arange(self.count)[index]))

    def draw_on(self, canvas, boxes):
        assert len(boxes) == self.count
        for x0, y0, _, _ in boxes.tolist():
            pixels = np.full((10, 20, 3), 255, dtype=np.uint8)
            weights = np.zeros((10, 20))
            weights[:, :10] = 1
            canvas.paint(pixels, weights, x0=round(x0 * canvas.scale), y0=round(y0 * canvas.scale))


@pytest.mark.parametrize("scale", [1, 2])
def test_fields_may_draw_themselves(scale):
    boxes = Boxes(torch.tensor([[100.0, 120, 300, 400], [635, 475, 640, 480], [0, 0, 50, 50]]))
    found = Instances(SIZE, pred_boxes=boxes, scores=torch.tensor([0.9, 0.8, 0.1]), stripes=Stripes(3))
    before = draw_instances(blank(), one(), scale=scale)
    picture = draw_instances(blank(), found, score_threshold=0.5, scale=scale)
    assert (picture[120 * scale + 5, 100 * scale + 5] == 255).all()
    assert (picture[120 * scale + 5, 100 * scale + 15] == 128).all()
    assert (picture[477 * scale, 637 * scale] == 255).all()  # the rest is outside of the image
    assert picture.shape == before.shape
    assert not changed(picture[: 40 * scale, : 40 * scale]).any()  # its score is too low
