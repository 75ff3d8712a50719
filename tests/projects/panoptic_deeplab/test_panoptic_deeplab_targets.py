"""The targets against a version that goes segment by segment; the mapper."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lazycfg.data import ShapesDataset
from lazycfg.data import transforms as T
from lazycfg.projects.panoptic_deeplab import PanopticDeeplabDatasetMapper, PanopticDeepLabTargetGenerator
from lazycfg.utils.segment_ids import id2rgb

THINGS = (2, 3)


def one_by_one(panoptic, segments, sigma, ignore_stuff, small_area, small_weight, ignore_crowd):
    height, width = panoptic.shape
    sem_seg = np.full((height, width), 255)
    out = {name: np.zeros((height, width)) for name in ("center", "center_weights", "offset_weights")}
    weights, offset, points = np.ones((height, width)), np.zeros((2, height, width)), []
    for segment in segments:
        mask = panoptic == segment["id"]
        thing = segment["category_id"] in THINGS
        if not (segment["iscrowd"] and ignore_crowd):
            sem_seg[mask] = segment["category_id"]
        if not segment["iscrowd"]:
            out["center_weights"][mask] = 1
            if thing or not ignore_stuff:
                out["offset_weights"][mask] = 1
        if not thing or not mask.any():
            continue
        if mask.sum() < small_area:
            weights[mask] = small_weight
        ys, xs = np.nonzero(mask)
        cy, cx = float(np.mean(ys)), float(np.mean(xs))
        points.append([cy, cx])
        for y in range(height):
            for x in range(width):
                dy, dx = y - round(cy), x - round(cx)
                if max(abs(dy), abs(dx)) <= 3 * sigma + 1:
                    heat = math.exp(-(dy**2 + dx**2) / (2 * sigma**2))
                    out["center"][y, x] = max(out["center"][y, x], heat)
        offset[0][mask], offset[1][mask] = cy - ys, cx - xs
    for name in ("center_weights", "offset_weights"):
        out[name] = out[name][None]
    return {**out, "sem_seg": sem_seg, "sem_seg_weights": weights, "offset": offset, "center_points": points}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_equal_to_going_segment_by_segment(seed, ignore_stuff, ignore_crowd):
    rng = np.random.default_rng(seed)
    ids = rng.choice(2**20, 7, replace=False)
    panoptic = rng.choice(ids, size=(3, 4)).repeat(5, 0).repeat(4, 1)[: rng.integers(1, 16)]
    segments = [
        {"id": int(i), "category_id": int(rng.integers(5)), "iscrowd": int(rng.random() < 0.3)}
        for i in ids[:6]  # the seventh is not listed
    ]
    generator = PanopticDeepLabTargetGenerator(255, THINGS, 2, ignore_stuff, 60, 3, ignore_crowd)
    got = generator(panoptic, segments)
    expected = one_by_one(panoptic, segments, 2, ignore_stuff, 60, 3, ignore_crowd)
    points, expected_points = got.pop("center_points"), expected.pop("center_points")
    np.testing.assert_allclose(np.reshape(points, (-1, 2)), np.reshape(expected_points, (-1, 2)))
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name].numpy(), value, atol=1e-5, err_msg=name)
        assert got[name].dtype == (torch.int64 if name == "sem_seg" else torch.float32)


def test_without_segments_nothing_counts():
    got = PanopticDeepLabTargetGenerator(255, THINGS)(np.zeros((4, 6), dtype=np.uint8), [])
    assert (got["sem_seg"] == 255).all()
    assert not any(got[name].any() for name in ("center", "offset", "center_weights", "offset_weights"))


def test_a_thing_that_is_stuff_to_the_model_is_refused():
    generator = PanopticDeepLabTargetGenerator(255, THINGS)
    segment = {"id": 1, "category_id": 0, "iscrowd": 0, "isthing": True}
    with pytest.raises(ValueError, match=r"class 0 is a thing in the data, and stuff by thing_ids=\[2, 3\]"):
        generator(np.ones((4, 6), dtype=np.uint8), [segment])


def mapper(*augmentations, things=range(4)):
    return PanopticDeeplabDatasetMapper(
        augmentations=augmentations,
        panoptic_target_generator=PanopticDeepLabTargetGenerator(255, list(things), sigma=3),
    )


def test_segments_follow_the_image():
    record = ShapesDataset(num_images=4, image_size=(48, 64), label_maps="joint")[1]
    plain = mapper()(record)
    mirrored = mapper(T.RandomFlip(prob=1.0))(record)
    for name in ("image", "sem_seg", "sem_seg_weights", "center_weights"):
        assert torch.equal(mirrored[name], plain[name].flip(-1))
    assert torch.equal(mirrored["offset"][0], plain["offset"][0].flip(-1))
    torch.testing.assert_close(mirrored["offset"][1], -plain["offset"][1].flip(-1), atol=1e-4, rtol=0)
    assert np.array_equal(plain["sem_seg"], record["sem_seg"])
    assert plain["center_weights"].shape == plain["offset_weights"].shape == (1, 48, 64)
    assert "annotations" not in plain
    assert "pan_seg" in record  # which is not changed

    cropped = mapper(T.RandomCrop("absolute", (20, 30)))(record, np.random.default_rng(0))
    assert cropped["image"].shape[1:] == cropped["sem_seg"].shape == (20, 30)
    assert (cropped["height"], cropped["width"]) == (48, 64)


def test_many_segments_in_a_file(tmp_path):
    """More than 255, with ids that need three colours."""
    ids = (np.arange(20 * 20).reshape(20, 20) * 40_009) % 2**24
    Image.fromarray(id2rgb(ids)).save(tmp_path / "ids.png")
    record = {
        "image": np.zeros((20, 20, 3), dtype=np.uint8),
        "image_id": 1,
        "pan_seg_file_name": str(tmp_path / "ids.png"),
        "segments_info": [
            {"id": int(i), "category_id": n % 5, "iscrowd": 0} for n, i in enumerate(ids.ravel()[:399])
        ],
    }
    out = mapper()(record)["sem_seg"]
    expected = torch.arange(400).reshape(20, 20) % 5
    expected[-1, -1] = 255  # not listed
    assert torch.equal(out, expected)


def test_records_that_cannot_be_used(tmp_path):
    record = {"image": np.zeros((4, 6, 3), dtype=np.uint8), "image_id": "a_1"}
    with pytest.raises(ValueError, match=r"a_1 has no 'segments_info'.*CityscapesPanoptic"):
        mapper()(record)
    record["segments_info"] = []
    with pytest.raises(ValueError, match="a_1 has neither 'pan_seg' nor"):
        mapper()(record)
    record["pan_seg"] = np.zeros((6, 4), dtype=np.int32)
    with pytest.raises(ValueError, match=r"a_1: the segments of the record are 4x6 .*, the image 6x4"):
        mapper()(record)
    record["pan_seg"] = np.ones((4, 6), dtype=np.int32)
    record["segments_info"] = [{"id": 1, "category_id": 9, "iscrowd": 0, "isthing": True}]
    with pytest.raises(ValueError, match="image_id a_1: a segment of class 9 is a thing in the data"):
        mapper()(record)
