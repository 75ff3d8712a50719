"""`Visualizer`, method by method: which pixels change, and to what."""

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import Metadata
from lazycfg.data.datasets.coco_keypoints import (
    COCO_PERSON_KEYPOINT_CONNECTION_RULES,
    COCO_PERSON_KEYPOINT_NAMES,
)
from lazycfg.structures import BitMasks, Boxes, BoxMode, Instances, PolygonMasks, RotatedBoxes
from lazycfg.utils.segment_ids import id2rgb
from lazycfg.visualization import (
    Canvas,
    ColorMode,
    VisImage,
    Visualizer,
    as_color,
    colormap,
    draw_instances,
    fonts,
)

SIZE = (240, 320)
NAMES = Metadata(thing_classes=("cat", "dog"), thing_colors=((255, 0, 0), (0, 0, 255)))


def blank(value=128):
    return np.full((*SIZE, 3), value, np.uint8)


def mask_at(y0, x0, y1, x1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def changed(output, before=128):
    return (output.get_image() != before).any(axis=2)


def two(**fields):
    boxes = Boxes(torch.tensor([[20.0, 60, 100, 200], [150, 60, 230, 200]]))
    masks = torch.from_numpy(np.stack([mask_at(60, 20, 200, 100), mask_at(60, 150, 200, 230)]))
    given = {"pred_boxes": boxes, "pred_masks": masks, "pred_classes": torch.tensor([0, 0])}
    return Instances(SIZE, **{**given, **fields})


def test_everything_is_drawn_on_one_image(tmp_path):
    visualizer = Visualizer(blank(), NAMES)
    output = visualizer.get_output()
    assert output is visualizer.output
    assert isinstance(output, VisImage)
    assert (output.height, output.width) == SIZE
    assert visualizer.draw_box([10, 10, 50, 50]) is output
    assert visualizer.draw_circle((100, 100), "red") is output
    output.save(tmp_path / "x.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), output.get_image())
    assert output._repr_png_()[:4] == b"\x89PNG"
    output.reset_image(blank(9))
    assert (output.get_image() == 9).all()
    with pytest.raises(ValueError, match=r"= \(240, 320\), got \(3, 3\)"):
        output.reset_image(np.zeros((3, 3, 3), np.uint8))


def test_boxes_lines_and_circles():
    visualizer = Visualizer(blank(), scale=2)
    image = visualizer.draw_box([10, 20, 60, 80], alpha=1, edge_color=(0, 255, 0)).get_image()
    assert image.shape == (480, 640, 3)
    assert tuple(image[100, 20]) == (0, 255, 0)
    half = Visualizer(blank()).draw_box([10, 20, 60, 80], edge_color=(0, 0, 0)).get_image()
    assert tuple(half[50, 10]) == (64, 64, 64)
    dashed = changed(Visualizer(blank()).draw_box([10, 20, 60, 200], alpha=1, line_style="--"))[21:199, 10]
    assert 0.3 < dashed.mean() < 0.7
    line = Visualizer(blank()).draw_line([10, 60, 60], [30, 30, 90], "blue", linewidth=5)
    assert tuple(line.get_image()[60, 60]) == (0, 0, 255)
    assert changed(line)[40:80].sum(axis=1).tolist() == [5] * 40
    circle = changed(Visualizer(blank()).draw_circle((100, 100), "w", radius=20))
    assert circle.sum() == pytest.approx(np.pi * 20**2, rel=0.1)
    with pytest.raises(ValueError, match="zip"):
        Visualizer(blank()).draw_line([1, 2], [1], "b")


def test_rotated_boxes_with_labels():
    drawn = Visualizer(blank()).draw_rotated_box_with_label((160, 120, 100, 40, 30), label="car")
    assert changed(drawn).any()
    plain = Visualizer(blank()).draw_rotated_box_with_label((160, 120, 100, 40, 30))
    assert changed(drawn).sum() > changed(plain).sum() + 100
    boxes = torch.tensor([[160.0, 120, 100, 40, 30]])
    for given in (boxes, RotatedBoxes(boxes)):
        over = Visualizer(blank()).overlay_rotated_instances(given, ["car"], ["r"])
        assert (over.get_image()[..., 0] == 255).sum() > 50


def test_text_stands_where_it_should():
    def columns(**options):
        return np.flatnonzero(
            changed(Visualizer(blank()).draw_text("word", (160, 100), **options)).any(axis=0)
        )

    left, centre, right = (columns(horizontal_alignment=each) for each in ("left", "center", "right"))
    assert left[0] == 160
    assert right[-1] in (159, 160)
    assert abs((centre[0] + centre[-1]) / 2 - 160) <= 1
    turned = changed(Visualizer(blank()).draw_text("word", (160, 100), rotation=90))
    assert turned.any(axis=1).sum() > turned.any(axis=0).sum()
    large, small = (columns(font_size=size) for size in (40, 10))
    assert len(large) > 2 * len(small)


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_masks(scale):
    mask = mask_at(50, 50, 150, 150)
    visualizer = Visualizer(blank(), scale=scale)
    image = visualizer.draw_binary_mask(mask, "red", edge_color="white").get_image()
    row, left = image[int(100 * scale)], int(50 * scale)
    inside, edge = row[int(100 * scale)], row[left - 1 : left + 2].min(axis=1)
    assert inside[0] > 180
    assert inside[1] < 80
    assert edge.max() > 200
    assert changed(visualizer.output).mean() == pytest.approx(mask.mean(), rel=0.05)


def test_small_masks_soft_masks_and_texts():
    tiny = mask_at(5, 5, 8, 8)
    assert not changed(Visualizer(blank()).draw_binary_mask(tiny)).any()
    assert changed(Visualizer(blank()).draw_binary_mask(tiny, area_threshold=0)).sum() == 9
    soft = np.zeros(SIZE)
    soft[:, :100], soft[:, 100:200] = 1, 0.5
    image = Visualizer(blank()).draw_soft_mask(soft, (255, 128, 128), alpha=1).get_image()
    assert image[100, [50, 150, 250], 0].tolist() == [255, 192, 128]
    written = Visualizer(blank()).draw_binary_mask(mask_at(50, 50, 150, 150), "r", text="cat")
    assert changed(written).sum() >= 100 * 100
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for an image of \(240, 320\)"):
        Visualizer(blank()).draw_soft_mask(np.zeros((2, 2)))


def test_masks_without_a_colour_have_different_ones():
    visualizer = Visualizer(blank(0))
    visualizer.draw_binary_mask(mask_at(10, 10, 50, 50), alpha=1)
    image = visualizer.draw_binary_mask(mask_at(100, 10, 150, 50), alpha=1).get_image()
    assert [tuple(image[30, 30]), tuple(image[120, 30])] == colormap(2)


def test_polygons():
    image = Visualizer(blank()).draw_polygon([[50, 50], [150, 50], [150, 150]], "r", "b", 1.0).get_image()
    assert tuple(image[70, 130]) == (255, 0, 0)
    assert tuple(image[50, 100]) == (0, 0, 255)
    assert tuple(image[140, 60]) == (128, 128, 128)


def test_objects_of_every_form_overlay():
    mask = mask_at(60, 20, 200, 100)
    polygon = [np.array([20.0, 60, 100, 60, 100, 200, 20, 200])]
    forms = [
        mask[None],
        torch.from_numpy(mask[None]),
        BitMasks(torch.from_numpy(mask[None])),
        PolygonMasks([polygon]),
        [polygon],
        [mask],
        [torch.from_numpy(mask)],
        mask[None].astype(np.uint8),
    ]
    first = None
    for masks in forms:
        drawn = Visualizer(blank()).overlay_instances(masks=masks, labels=["x"], assigned_colors=["r"])
        first = drawn.get_image() if first is None else first
        np.testing.assert_array_equal(drawn.get_image(), first)
    for boxes in (Boxes(torch.tensor([[20.0, 60, 100, 200]])), [[20, 60, 100, 200]]):
        drawn = Visualizer(blank()).overlay_instances(boxes=boxes, assigned_colors=[(1.0, 0, 0)])
        assert tuple(drawn.get_image()[100, 20]) == (255, 0, 0)
    assert not changed(Visualizer(blank()).overlay_instances()).any()
    assert not changed(Visualizer(blank()).overlay_instances(boxes=np.zeros((0, 4)), labels=[])).any()
    with pytest.raises(ValueError, match="different length: 1 boxes, 2 labels"):
        Visualizer(blank()).overlay_instances(boxes=[[1, 2, 3, 4]], labels=["a", "b"])
    with pytest.raises(ValueError, match="mask 0 has"):
        Visualizer(blank()).overlay_instances(masks=[np.zeros((4, 4), bool)])


def test_a_person_has_bones_of_the_colours_of_coco():
    metadata = Metadata(
        keypoint_names=COCO_PERSON_KEYPOINT_NAMES,
        keypoint_connection_rules=COCO_PERSON_KEYPOINT_CONNECTION_RULES,
    )
    points = np.zeros((17, 3), np.float32)
    where = {name: index for index, name in enumerate(COCO_PERSON_KEYPOINT_NAMES)}
    for name, x, y in (
        ("nose", 100, 20), ("left_shoulder", 60, 60), ("right_shoulder", 140, 60), ("left_hip", 70, 140),
        ("right_hip", 130, 140),
    ):  # fmt: skip
        points[where[name]] = x, y, 1
    image = Visualizer(blank(), metadata).draw_and_connect_keypoints(points, color="red").get_image()
    assert tuple(image[60, 80]) == (255, 128, 0)  # from shoulder to shoulder
    assert tuple(image[40, 100]) == tuple(image[100, 100]) == (255, 0, 0)  # the nose, the back
    points[where["right_hip"], 2] = 0.01
    image = Visualizer(blank(), metadata).draw_and_connect_keypoints(points).get_image()
    assert tuple(image[100, 100]) == (128, 128, 128)


def test_modes():
    rainbow = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    image, segmentation, grey = (
        Visualizer(rainbow, NAMES, instance_mode=mode).draw_instance_predictions(two()).get_image()
        for mode in ColorMode
    )
    far = (slice(210, 230), slice(250, 310))
    np.testing.assert_array_equal(image[far], rainbow[far])
    assert (grey[far][..., 0] == grey[far][..., 2]).all()
    assert not (grey[100:150, 40:80, 0] == grey[100:150, 40:80, 2]).all()
    colors = segmentation[100:150, 40:80].mean(axis=(0, 1)), segmentation[100:150, 170:210].mean(axis=(0, 1))
    assert np.allclose(*colors, atol=4)
    assert colors[0][0] > 220
    shades = image[100:150, 40:80].mean(axis=(0, 1)), image[100:150, 170:210].mean(axis=(0, 1))
    assert abs(shades[0] - shades[1]).max() > 10
    with pytest.raises(ValueError, match="2 colors for 3"):
        draw_instances(rainbow, Instances(SIZE, scores=torch.rand(3)), colors=["r", "g"])


def test_colours_follow_their_objects_through_sorting_and_thresholds():
    found = two(scores=torch.tensor([0.2, 0.9]))
    image = draw_instances(blank(), found, colors=["red", "blue"], score_threshold=0.5, scale=1)
    assert tuple(image[100, 150]) == (0, 0, 255)
    assert not (image[210:, :140] != 128).any()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("g", (0, 128, 0)),
        ("#ff8000", (255, 128, 0)),
        ((1.0, 0, 0.5), (255, 0, 128)),
        ((255, 0, 7), (255, 0, 7)),
        ((0, 0, 0), (0, 0, 0)),
        (np.array([0.5, 0.5, 1.0]), (128, 128, 255)),
        (np.array([3, 200, 5], np.uint8), (3, 200, 5)),
        ((1.0, 1.0, 1.0, 0.3), (255, 255, 255)),
    ],
)
def test_colours(given, expected):
    assert as_color(given) == expected


def test_colours_that_may_mean_two():
    with pytest.raises(ValueError, match=r"write \(1\.0, 0\.0, 0\.0\) or \(255, 0, 0\)"):
        as_color((1, 0, 0))
    with pytest.raises(ValueError, match="expected a name"):
        as_color((300, 0, 0))


def test_records_with_maps_of_labels(tmp_path):
    labels = np.zeros(SIZE, np.uint8)
    labels[:, 160:] = 1
    Image.fromarray(labels).save(tmp_path / "labels.png")
    stuff = Metadata(stuff_classes=("sky", "road"), stuff_colors=((0, 0, 255), (0, 255, 0)))
    expected = Visualizer(blank(), stuff).draw_sem_seg(labels).get_image()
    for record in ({"sem_seg": labels}, {"sem_seg_file_name": str(tmp_path / "labels.png")}):
        drawn = Visualizer(blank(), stuff).draw_dataset_dict(record)
        np.testing.assert_array_equal(drawn.get_image(), expected)
    ids = np.where(labels, 1000, 7)
    Image.fromarray(id2rgb(ids)).save(tmp_path / "segments.png")
    info = [{"id": 7, "isthing": False, "category_id": 0}, {"id": 1000, "isthing": False, "category_id": 1}]
    record = {"pan_seg_file_name": str(tmp_path / "segments.png"), "segments_info": info}
    drawn = Visualizer(blank(), stuff).draw_dataset_dict(record).get_image()
    expected = Visualizer(blank(), stuff).draw_panoptic_seg_predictions(ids, info).get_image()
    np.testing.assert_array_equal(drawn, expected)
    annotation = {"bbox": [20, 60, 100, 200], "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}
    both = Visualizer(blank(), NAMES).draw_dataset_dict({"sem_seg": labels, "annotations": [annotation]})
    assert tuple(both.get_image()[150, 20]) == (255, 0, 0)


def test_small_regions_are_left_out():
    labels = np.zeros(SIZE, np.int64)
    labels[:5, :5] = 1
    stuff = Metadata(stuff_classes=("sky", "road"), stuff_colors=((0, 0, 255), (0, 255, 0)))
    plain = Visualizer(blank(), stuff).draw_sem_seg(labels).get_image()
    without = Visualizer(blank(), stuff).draw_sem_seg(labels, area_threshold=30).get_image()
    assert (plain[:5, :5] != without[:5, :5]).any()
    assert (without[:5, :5] == 128).all()
    info = [{"id": 1, "isthing": True, "category_id": 0}]
    drawn = Visualizer(blank(), NAMES).draw_panoptic_seg(labels, info, area_threshold=30)
    assert not changed(drawn).any()


def test_an_image_says_that_nothing_was_found():
    found = two(scores=torch.tensor([0.2, 0.31]))
    drawn = draw_instances(blank(), found, NAMES, score_threshold=0.5, scale=1)
    expected = Canvas(blank(), scale=1)
    expected.text("nothing above 0.5, best 0.31", (0, 240 * 0.02), (255, 255, 255), align="left")
    np.testing.assert_array_equal(drawn, expected.image)


def test_huge_images_are_drawn_smaller():
    canvas = Canvas(np.zeros((300, 12_000, 3), np.uint8))
    assert canvas.image.shape == (100, 4000, 3)
    canvas.box((6000, 0, 12_000, 300), (255, 0, 0))
    assert tuple(canvas.image[50, 2000]) == (255, 0, 0)
    assert Canvas(np.zeros((30, 5000, 3), np.uint8), 1).image.shape == (30, 5000, 3)  # as asked for


def test_letters_that_no_font_has_become_question_marks(monkeypatch):
    monkeypatch.setattr(fonts, "_FURTHER", ())
    fonts._name_for.cache_clear()
    fonts._drawable.cache_clear()
    with pytest.warns(UserWarning, match=r"'cat \?' is drawn in its place. Pass font=FILE"):
        drawn = Visualizer(blank()).draw_text("cat \U000f0000", (100, 100))
    expected = Visualizer(blank()).draw_text("cat ?", (100, 100))
    np.testing.assert_array_equal(drawn.get_image(), expected.get_image())
    fonts._name_for.cache_clear()
    fonts._drawable.cache_clear()
