import numpy as np
import pytest

from lazycfg.data import CocoDataset, Metadata, ShapesDataset, read_image
from lazycfg.data.datasets.contours import mask_to_polygons, mask_to_rings, ring_area
from lazycfg.data.datasets.shapes_drawing import rasterize
from lazycfg.structures import BoxMode, polygons_to_bitmask


def plain(record):
    """A record for comparison."""
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in record.items()}


def test_a_picture_is_a_function_of_seed_and_index():
    first, again = ShapesDataset(num_images=9, seed=3), ShapesDataset(num_images=5, seed=3)
    for i in (4, 0, 2):
        assert plain(first[i]) == plain(again[i])
    assert plain(first[0])["image"] != plain(first[1])["image"]
    assert plain(ShapesDataset(num_images=1, seed=4)[0])["image"] != plain(first[0])["image"]
    without = dict(first[3])
    del without["image"]
    assert first.get_annotations(3) == without
    assert first[-1]["image_id"] == 9
    with pytest.raises(IndexError, match="9 images"):
        first[9]


def test_records_are_well_formed():
    dataset = ShapesDataset(num_images=30, image_size=(96, 144), seed=0, num_objects=(2, 6))
    assert dataset.image_sizes.tolist() == [[96, 144]] * 30
    seen = set()
    for record in dataset:
        assert record["image"].shape == (96, 144, 3)
        assert record["image"].dtype == np.uint8
        assert 1 <= len(record["annotations"]) <= 6
        for a in record["annotations"]:
            x, y, w, h = a["bbox"]
            assert a["bbox_mode"] == BoxMode.XYWH_ABS
            assert min(x, y) >= 0
            assert x + w <= 144.01
            assert y + h <= 96.01
            points = np.concatenate([np.reshape(p, (-1, 2)) for p in a["segmentation"]])
            np.testing.assert_allclose([*points.min(0), *np.ptp(points, axis=0)], [x, y, w, h], atol=0.02)
            seen.add(a["category_id"])
    assert seen == {0, 1, 2, 3}


def test_outlines_cover_what_is_visible():
    dataset = ShapesDataset(num_images=25, seed=1, num_objects=(3, 6))
    hidden = 0
    for record in dataset:
        masks = [
            polygons_to_bitmask([np.asarray(p) for p in a["segmentation"]], 128, 128)
            for a in record["annotations"]
        ]
        for mask, a in zip(masks, record["annotations"], strict=True):
            assert abs(mask.sum() - a["area"]) <= 0.12 * a["area"] + 12
            hidden += len(a["segmentation"]) > 1 or len(a["segmentation"][0]) > 72
        overlap = np.sum(masks, axis=0) > 1
        # Borders of neighbours may share a pixel; areas do not overlap.
        assert overlap.sum() <= 0.06 * np.any(masks, axis=0).sum()
    assert hidden > 0


def test_shapes_differ_from_what_surrounds_them():
    dataset = ShapesDataset(num_images=10, seed=2)
    for record in dataset:
        for a in record["annotations"]:
            mask = polygons_to_bitmask([np.asarray(p) for p in a["segmentation"]], 128, 128)
            inside = record["image"][mask].mean(axis=0)
            outside = record["image"][~mask].mean(axis=0)
            assert np.abs(inside - outside).max() > 20


def test_every_shape_keeps_its_visible_part():
    dataset = ShapesDataset(num_images=20, seed=5, num_objects=(6, 6), min_visible=0.7)
    for i in range(20):
        scene = dataset._scene(i)
        for k, polygon in enumerate(scene.polygons, start=1):
            mask, _, _ = rasterize(polygon, 128, 128)
            assert (scene.owner == k).sum() >= 0.7 * mask.sum()


@pytest.mark.parametrize("keypoints", [False, True])
def test_exported_files_load_back_equal(tmp_path, keypoints):
    dataset = ShapesDataset(num_images=6, seed=7, keypoints=keypoints, num_objects=(3, 5))
    json_file, images = dataset.export_coco(tmp_path / "out")
    loaded = CocoDataset(json_file=json_file, name="shapes")
    assert loaded.image_root == str(images)
    assert len(loaded) == 6
    for i in range(6):
        expected, got = dataset[i], loaded[i]
        np.testing.assert_array_equal(
            read_image(got["file_name"], "RGB").permute(1, 2, 0).numpy(), expected["image"]
        )
        assert got["annotations"] == expected["annotations"]
        assert {k: got[k] for k in ("image_id", "height", "width")} == {
            k: expected[k] for k in ("image_id", "height", "width")
        }
    same = (
        "name",
        "thing_classes",
        "keypoint_names",
        "keypoint_flip_map",
        "thing_dataset_id_to_contiguous_id",
    )
    assert all(getattr(loaded.metadata, k) == getattr(dataset.metadata, k) for k in same)


def test_keypoints_lie_on_their_shape():
    dataset = ShapesDataset(num_images=10, seed=0, keypoints=True)
    for record in dataset:
        for a in record["annotations"]:
            points = np.reshape(a["keypoints"], (-1, 3))
            assert len(points) == len(dataset.metadata.keypoint_names) == 5
            center, top, bottom, left, right = points
            for p in (top, bottom, left, right):
                if p[2] == 0:
                    assert (p == 0).all()
            if center[2] and top[2] and bottom[2]:
                assert top[1] < center[1] < bottom[1]
            if center[2] and left[2] and right[2]:
                assert left[0] < center[0] < right[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ("circel",)}, "did you mean 'circle'"),
        ({"num_objects": (3, 2)}, "num_objects"),
        ({"radius": (0.0, 0.2)}, "radius"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShapesDataset(num_images=1, **arguments)


def raster(rings, shape):
    """Even-odd raster of rings by pixel centres, by brute force."""
    inside = np.zeros(shape, dtype=bool)
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            spans = (y0 > ys) != (y1 > ys)
            inside ^= spans & (x0 + (ys - y0) * (x1 - x0) / (y1 - y0) > xs)
    return inside


@pytest.mark.parametrize("seed", range(6))
def test_traced_borders_give_the_mask_back(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((14, 17)) < 0.5
    if seed == 0:
        mask[:] = True
    rings = mask_to_rings(mask)
    np.testing.assert_array_equal(raster(rings, mask.shape), mask)
    assert sum(ring_area(r) for r in rings) == mask.sum()
    polygons = mask_to_polygons(mask)
    assert sum(ring_area(p) for p in polygons) == mask.sum()
    np.testing.assert_array_equal(raster(polygons, mask.shape), mask)


def test_a_hole_is_joined_to_its_outline():
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:18, 2:18] = True
    mask[6:10, 6:10] = False
    (polygon,) = mask_to_polygons(mask)
    np.testing.assert_array_equal(raster([polygon], mask.shape), mask)
    assert mask_to_rings(np.zeros((3, 3), dtype=bool)) == []


def test_metadata_checks_its_lengths():
    with pytest.raises(ValueError, match="1 thing_colors for 2 thing_classes"):
        Metadata(name="x", thing_classes=("a", "b"), thing_colors=((1, 2, 3),))
    assert Metadata(thing_classes=["a"]).replace(name="y").thing_classes == ("a",)
