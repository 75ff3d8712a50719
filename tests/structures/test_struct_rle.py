"""Run lengths against the COCO tools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lazycfg.structures.rle import (
    decode_rle,
    encode_crop,
    encode_crops,
    encode_mask,
    encode_masks_near,
    rle_area,
)

reference = pytest.importorskip("faster_coco_eval.core.mask")


def expected(mask):
    return reference.encode(np.asfortranarray(mask.astype(np.uint8)))


def assert_equal(rle, mask):
    wanted = expected(mask)
    counts = wanted["counts"]
    assert rle["counts"] == (counts.decode() if isinstance(counts, bytes) else counts)
    assert rle["size"] == list(mask.shape)
    assert rle_area(rle) == int(mask.sum())
    np.testing.assert_array_equal(decode_rle(rle), mask)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(sizes.flatmap(lambda size: arrays(np.bool_, size)))
def test_whole_masks(mask):
    assert_equal(encode_mask(mask), mask)


@settings(max_examples=200)
@given(st.data())
def test_windows(data):
    height, width = data.draw(sizes)
    y0, x0 = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    h, w = data.draw(st.integers(0, height - y0)), data.draw(st.integers(0, width - x0))
    crop = data.draw(arrays(np.bool_, (h, w)))
    whole = np.zeros((height, width), dtype=bool)
    whole[y0 : y0 + h, x0 : x0 + w] = crop
    assert_equal(encode_crop(crop, y0, x0, (height, width)), whole)


@settings(max_examples=200)
@given(st.data())
def test_many_masks_at_once(data):
    height, width = data.draw(sizes)
    count = data.draw(st.integers(0, 5))
    masks = data.draw(arrays(np.bool_, (count, height, width), elements=st.booleans()))
    bounds = st.tuples(*[st.integers(0, side + 2) for side in (width, height, width, height)])
    windows = np.array([data.draw(bounds) for _ in range(count)], dtype=np.int64).reshape(-1, 4)
    for rle, mask in zip(encode_masks_near(masks, windows), masks, strict=True):
        assert_equal(rle, mask)
    inside = np.zeros_like(masks)
    for mask, (x0, y0, x1, y1) in zip(inside, windows.tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
    masks &= inside
    crops = [mask[y0:y1, x0:x1] for mask, (x0, y0, x1, y1) in zip(masks, windows.tolist(), strict=True)]
    rles = encode_crops(crops, windows[:, 1], windows[:, 0], (height, width))
    assert len(rles) == count
    for rle, mask in zip(rles, masks, strict=True):
        assert_equal(rle, mask)


def test_long_and_shrinking_runs():
    """Large numbers and negative differences take several characters."""
    mask = np.zeros((700, 900), dtype=bool)
    mask[3:, 0] = True
    mask[:, 5:800] = True
    mask[100:101, 850] = True
    mask[5:690:7, 880] = True
    assert_equal(encode_mask(mask), mask)
    assert_equal(encode_mask(~mask), ~mask)
    assert_equal(encode_mask(np.ones((3000, 2000), dtype=bool)), np.ones((3000, 2000), dtype=bool))


def test_area_of_uncompressed_runs():
    assert rle_area({"size": [4, 5], "counts": [3, 4, 5, 8]}) == 12


def test_decoding_uncompressed_and_broken_runs():
    assert decode_rle({"size": [2, 2], "counts": [1, 2, 1]}).tolist() == [[False, True], [True, False]]
    with pytest.raises(ValueError, match="5 pixels for a mask of 2 x 2"):
        decode_rle({"size": [2, 2], "counts": [1, 2, 2]})


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("not an rle!", "characters from '0' to 'o', not 't'"),
        ("eJwDAAAAAAE=", "base64"),
        ("é", "characters"),
        ("o", "end within a number"),
        ("o" * 20 + "0", "more than 40 bits"),
        ([1.5, 2.5], "whole numbers below .*, got 1.5"),
        ([None, 4], "got None"),
        (["4"], "got '4'"),
        ([2**70], "got 118"),
        (7, "text or a list of run lengths, got int"),
        ([-2, 6], "run lengths of 4 pixels"),
        ([3], "run lengths of 3 pixels for a mask of 2 x 2"),
        ("", "run lengths of 0 pixels"),
    ],
)
def test_counts_that_are_none_are_explained(counts, message):
    with pytest.raises(ValueError, match=message):
        decode_rle({"size": [2, 2], "counts": counts})
