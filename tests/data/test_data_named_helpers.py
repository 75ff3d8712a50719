"""Helpers that the field knows by name: crops around an object, grids, lists of records."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import (
    CocoDataset,
    convert_to_coco_dict,
    gen_crop_transform_with_instance,
    load_coco_json,
)
from lazycfg.data.transforms import (
    AugInput,
    GridSampleTransform,
    HFlipTransform,
    RandomFlip,
    Resize,
    apply_augmentations,
)
from lazycfg.structures import BoxMode


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_holds_the_middle_of_its_object(seed):
    rng = np.random.default_rng(seed)
    x0, y0 = rng.uniform(0, 60, 2)
    width, height = rng.uniform(1, 39, 2)
    instance = {"bbox": [x0, y0, width, height], "bbox_mode": BoxMode.XYWH_ABS}
    crop = gen_crop_transform_with_instance((20, 30), (100, 100), instance, rng=rng)
    assert (crop.h, crop.w, crop.orig_h, crop.orig_w) == (20, 30, 100, 100)
    assert 0 <= crop.x0 <= 70
    assert 0 <= crop.y0 <= 80
    middle = crop.apply_coords(np.array([[x0 + width / 2, y0 + height / 2]]))[0]
    assert (middle >= -1).all()
    assert (middle <= np.array([30, 20]) + 1).all()


def test_all_places_of_a_crop_come():
    instance = {"bbox": [50, 50, 52, 52], "bbox_mode": BoxMode.XYXY_ABS}
    rng = np.random.default_rng(0)
    lefts = {gen_crop_transform_with_instance((4, 4), (100, 100), instance, rng=rng).x0 for _ in range(200)}
    assert lefts == {47, 48, 49, 50, 51}


def test_crops_that_cannot_be():
    instance = {"bbox": [50, 50, 52, 52], "bbox_mode": BoxMode.XYXY_ABS}
    with pytest.raises(ValueError, match=r"a crop of \(height, width\) = \(200, 4\)"):
        gen_crop_transform_with_instance((200, 4), (100, 100), instance)
    with pytest.raises(ValueError, match="the middle of the box"):
        gen_crop_transform_with_instance((4, 4), (30, 30), instance)


def identity(height, width):
    ys, xs = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack(((2 * xs + 1) / width - 1, (2 * ys + 1) / height - 1), axis=-1)


@pytest.mark.parametrize("interp", ["bilinear", "nearest"])
def test_a_grid_moves_pixels(interp):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    same = GridSampleTransform(identity(8, 10), interp)
    np.testing.assert_array_equal(same.apply_image(image), image)
    mirrored = GridSampleTransform(identity(8, 10)[None, :, ::-1], interp)
    np.testing.assert_array_equal(mirrored.apply_image(image), image[:, ::-1])
    assert torch.equal(
        mirrored.apply_image(torch.from_numpy(image).permute(2, 0, 1)),
        torch.from_numpy(image).permute(2, 0, 1).flip(-1),
    )
    labels = rng.integers(0, 256, (8, 10))
    half = GridSampleTransform(identity(4, 5), interp)
    assert set(np.unique(half.apply_segmentation(labels))) <= set(np.unique(labels))
    assert half.apply_image(image).shape == (4, 5, 3)


def test_a_grid_cannot_move_points():
    grid = GridSampleTransform(identity(4, 4))
    assert grid.apply_coords(np.zeros((0, 2))).shape == (0, 2)
    with pytest.raises(NotImplementedError, match="cannot move points"):
        grid.apply_box(np.array([[0, 0, 1, 1]]))
    with pytest.raises(ValueError, match=r"expected a grid \(H, W, 2\), got shape \(4, 4\)"):
        GridSampleTransform(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="interp='lanczos'"):
        GridSampleTransform(identity(4, 4), "lanczos")


def test_augmentations_of_an_image_or_of_an_input():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    result, transforms = apply_augmentations([RandomFlip(prob=1.0), Resize((4, 8))], image)
    assert result.shape == (4, 8, 3)
    assert isinstance(transforms[0], HFlipTransform)
    given = AugInput(image, boxes=np.array([[0.0, 0, 1, 1]]))
    same, _ = apply_augmentations([HFlipTransform(4)], given, np.random.default_rng(0))
    assert same is given
    assert given.boxes.tolist() == [[3, 0, 4, 1]]


def test_lists_of_records_and_dicts_of_coco(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": 30, "width": 40}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 5,
                "bbox": [1, 2, 10, 11],
                "area": 110,
                "iscrowd": 0,
                "x": 3,
            }
        ],
        "categories": [{"id": 5, "name": "thing"}],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    (record,) = load_coco_json(file, tmp_path, extra_annotation_keys=["x"])
    assert record["image_id"] == 7
    assert record["annotations"][0]["x"] == 3
    written = convert_to_coco_dict(CocoDataset(json_file=file, image_root=tmp_path))
    assert written["categories"] == content["categories"]
    assert written["annotations"][0]["bbox"] == [1, 2, 10, 11]
