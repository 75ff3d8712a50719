"""Points of annotations: read, checked, augmented and drawn; and made of masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import AnnotationError, FilteredDataset, ShapesDataset
from lazycfg.data import transforms as T
from lazycfg.projects.point_sup import CocoPointsDataset, PointsFromMasks, PointSupDatasetMapper
from lazycfg.projects.point_sup.tools import prepare_coco_point_annotations_without_masks as prepare
from lazycfg.structures import BoxMode


def record(
    *points: list[list[float]], labels: list[list[int]] | None = None, **fields: Any
) -> dict[str, Any]:
    annotations = [
        {
            "bbox": [2.0, 1.0, 8.0, 6.0],
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 0,
            "iscrowd": 0,
            "point_coords": own,
            "point_labels": [1] * len(own) if labels is None else labels[i],
        }
        for i, own in enumerate(points)
    ]
    image = np.zeros((10, 20, 3), dtype=np.uint8)
    return {"image": image, "height": 10, "width": 20, "image_id": 7, "annotations": annotations, **fields}


def test_points_are_centres_of_pixels_and_move_with_the_image() -> None:
    mapper = PointSupDatasetMapper(is_train=True, augmentations=[T.Resize((20, 40)), T.RandomFlip(prob=1.0)])
    x = mapper(record([[2, 3], [7, 5]], labels=[[1, 0]]))["instances"]
    assert x.gt_point_coords.tolist() == [[[40 - 5.0, 7.0], [40 - 15.0, 11.0]]]
    assert x.gt_point_labels.tolist() == [[1.0, 0.0]]
    assert x.gt_boxes.tensor.tolist() == [[24.0, 2.0, 36.0, 12.0]]
    assert not x.has("gt_masks")


def test_points_that_have_left_the_image_are_ignored() -> None:
    mapper = PointSupDatasetMapper(is_train=True, augmentations=[T.CropTransform(0, 0, 5, 10, 20, 10)])
    x = mapper(record([[2, 3], [4, 5], [5, 5]], labels=[[1, 0, 1]]))["instances"]
    assert x.gt_point_labels.tolist() == [[1.0, 0.0, -1.0]]


def test_objects_that_have_left_the_image_take_their_points_with_them() -> None:
    data = record([[2, 3]], [[15, 3]])
    data["annotations"][1]["bbox"] = [14.0, 1.0, 18.0, 6.0]
    mapper = PointSupDatasetMapper(is_train=True, augmentations=[T.CropTransform(0, 0, 10, 10, 20, 10)])
    x = mapper(data)["instances"]
    assert len(x) == 1
    assert x.gt_point_coords.tolist() == [[[2.5, 3.5]]]


@pytest.mark.parametrize(("number", "distinct"), [(3, 3), (9, None)])
def test_a_number_of_points_is_drawn(number: int, distinct: int | None) -> None:
    mapper = PointSupDatasetMapper(is_train=True, sample_points=number)
    data = record([[k, k] for k in range(5)], [[k, 0] for k in range(4)])
    x = mapper(data, np.random.default_rng(0))["instances"]
    again = mapper(data, np.random.default_rng(0))["instances"]
    other = mapper(data, np.random.default_rng(1))["instances"]
    assert x.gt_point_coords.shape == (2, number, 2)
    assert torch.equal(x.gt_point_coords, again.gt_point_coords)
    assert not torch.equal(x.gt_point_coords, other.gt_point_coords)
    assert distinct is None or len({tuple(p) for p in x.gt_point_coords[0].tolist()}) == distinct


def test_images_without_objects_have_the_same_fields() -> None:
    mapper = PointSupDatasetMapper(is_train=True, sample_points=3)
    x = mapper(record())["instances"]
    assert x.gt_point_coords.shape == (0, 3, 2)
    assert x.gt_point_labels.shape == (0, 3)
    crowd = record([[1, 1]])
    crowd["annotations"][0]["iscrowd"] = 1
    assert len(mapper(crowd)["instances"]) == 0
    assert "instances" not in PointSupDatasetMapper(is_train=False)(record([[1, 1]]))


def test_what_a_mapper_cannot_use_is_said() -> None:
    mapper = PointSupDatasetMapper(is_train=True)
    with pytest.raises(ValueError, match=r"image_id 7.* 1 to 2 points.*\n?.*sample_points=5"):
        mapper(record([[1, 1]], [[1, 1], [2, 2]]))
    data = record([[1, 1]])
    del data["annotations"][0]["point_coords"]
    with pytest.raises(ValueError, match=r"image_id 7.*annotation 0 has no 'point_coords'"):
        mapper(data)
    with pytest.raises(ValueError, match="1 point_coords and 2 point_labels"):
        mapper(record([[1, 1]], labels=[[1, 0]]))
    with pytest.raises(ValueError, match="sample_points must be 0 or more"):
        PointSupDatasetMapper(is_train=True, sample_points=-1)


def write_coco(folder: Path, *points: dict[str, Any]) -> Path:
    Image.new("RGB", (20, 10)).save(folder / "a.png")
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": 3, "bbox": [2, 1, 6, 5], "area": 30, "iscrowd": 0, **own}
        for i, own in enumerate(points)
    ]
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": 10, "width": 20}],
        "categories": [{"id": 3, "name": "thing"}],
        "annotations": annotations,
    }
    (folder / "points.json").write_text(json.dumps(data))
    return folder / "points.json"


GOOD = {"point_coords": [[3, 2], [7, 4]], "point_labels": [0, 1]}


def test_points_are_read_from_a_file(tmp_path: Path) -> None:
    crowd = {"iscrowd": 1}
    data = CocoPointsDataset(json_file=write_coco(tmp_path, GOOD, crowd), image_root=tmp_path)
    annotations = data[0]["annotations"]
    assert annotations[0]["point_coords"] == GOOD["point_coords"]
    assert annotations[0]["point_labels"] == GOOD["point_labels"]
    x = PointSupDatasetMapper(is_train=True)(data[0])["instances"]
    assert x.gt_point_coords.tolist() == [[[3.5, 2.5], [7.5, 4.5]]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"point_coords": None}, "point_coords must be a list of one or more, got None"),
        ({"point_labels": []}, "point_labels must be a list"),
        ({"point_labels": [1]}, "2 points and 1 labels"),
        ({"point_labels": [1, 2]}, "must be 0 or 1, got 2"),
        ({"point_labels": [1, True]}, "must be 0 or 1, got True"),
        ({"point_coords": [[3, 2], [7]]}, r"must be pairs \[x, y\] of numbers, got \[7\]"),
        ({"point_coords": [[3, 2], [7, "4"]]}, "must be pairs"),
        ({"point_coords": [[3, 2], [20, 4]]}, r"\[20, 4\] is not in its image of 20x10"),
        ({"point_coords": [[3, 2], [2, -1]]}, "is not in its image"),
    ],
)
def test_points_that_cannot_be_right(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = write_coco(tmp_path, GOOD, GOOD | change)
    with pytest.raises(AnnotationError, match=f"points.json: annotation 2 of a.png: .*{said}"):
        CocoPointsDataset(json_file=file, image_root=tmp_path)
    data = CocoPointsDataset(json_file=file, image_root=tmp_path, on_error="skip")
    assert len(data[0]["annotations"]) == 1
    assert sum(data.problems.values()) == 1


def test_points_made_of_masks() -> None:
    shapes = ShapesDataset(num_images=4, image_size=64, seed=3)
    data = PointsFromMasks(dataset=shapes, num_points=50, seed=1)
    assert len(data) == 4
    assert data.num_classes == shapes.num_classes
    inside = []
    for i in range(4):
        pairs = zip(data[i]["annotations"], shapes[i]["annotations"], strict=True)
        for annotation, original in pairs:
            assert "segmentation" not in annotation
            x, y, w, h = BoxMode.convert(original["bbox"], original["bbox_mode"], BoxMode.XYWH_ABS)
            coords = np.array(annotation["point_coords"])
            assert (coords >= np.floor([x, y])).all()
            assert (coords <= [x + w, y + h]).all()
            inside += annotation["point_labels"]
        assert data.get_annotations(i)["annotations"] == data[i]["annotations"]
    assert 0.3 < np.mean(inside) < 0.95
    assert data[0]["annotations"] == PointsFromMasks(dataset=shapes, num_points=50, seed=1)[0]["annotations"]
    assert data[0]["annotations"] != PointsFromMasks(dataset=shapes, num_points=50, seed=2)[0]["annotations"]
    assert len(FilteredDataset(dataset=data)) == 4
    with pytest.raises(ValueError, match="num_points must be 1 or more"):
        PointsFromMasks(dataset=shapes, num_points=0)
    with pytest.raises(AnnotationError, match="annotation 0 has no 'segmentation'"):
        PointsFromMasks(dataset=[record([[1, 1]])])[0]


def test_the_tool_draws_as_the_published_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    square = {"segmentation": [[2, 1, 5, 1, 5, 6, 2, 6]]}
    counts = [0, 100, 100]  # the left half, column by column
    crowd = {"iscrowd": 1, "segmentation": {"size": [10, 20], "counts": counts}}
    file = write_coco(tmp_path, square, crowd)
    prepare.main([str(file), "--num-points", "4", "--versions", "2"])
    assert "2 annotations with 4 points each" in capsys.readouterr().out
    first, second = (
        json.loads((tmp_path / f"points_n4_v{k}_without_masks.json").read_text())["annotations"]
        for k in (1, 2)
    )
    np.random.seed(12345)
    for annotation in [*first, *second]:
        drawn = np.random.rand(4, 2) * [6, 5] + [2, 1]
        assert annotation["point_coords"] == np.floor(drawn).astype(int).tolist()
        assert "segmentation" not in annotation
        edge = 10 if annotation["iscrowd"] else 5
        assert annotation["point_labels"] == [int(x < edge) for x, _ in annotation["point_coords"]]
    data = CocoPointsDataset(json_file=tmp_path / "points_n4_v1_without_masks.json", image_root=tmp_path)
    assert len(data) == 1
    with pytest.raises(SystemExit, match="annotation 1 of image 1 has no 'segmentation'"):
        prepare.main([str(write_coco(tmp_path, {}))])
