"""From the outputs of predictors to pixels, and small forms of the results."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf

from lazycfg.projects.densepose.structures import (
    DensePoseChartPredictorOutput,
    DensePoseChartPredictorOutputWithConfidences,
    DensePoseChartResultWithConfidences,
    DensePoseTransformData,
    chart_results,
    compress_chart_result,
    decompress_chart_result,
    hflip_chart_output,
    make_int_box,
    output_to_masks,
    quantize_chart_result,
)

BOXES = torch.tensor([[3.7, 2.2, 33.1, 41.9], [-4.0, 10.0, 6.5, 30.6], [20.0, 20.0, 20.3, 20.2]])


def output(kind=DensePoseChartPredictorOutput, coarse=2, seed=0, **more):
    g = torch.Generator().manual_seed(seed)
    maps = {"coarse_segm": coarse, "fine_segm": 25, "u": 25, "v": 25, **more}
    return kind(**{name: torch.randn(3, n, 14, 14, generator=g) for name, n in maps.items()})


def test_whole_boxes():
    assert make_int_box(BOXES) == [(3, 2, 29, 39), (-4, 10, 10, 20), (20, 20, 1, 1)]


@pytest.mark.parametrize("coarse", [2, 15])
def test_results_pixel_by_pixel(coarse):
    given = output(coarse=coarse)
    for k, (result, (_, _, w, h)) in enumerate(
        zip(chart_results(given, BOXES), make_int_box(BOXES), strict=True)
    ):
        big = {
            f.name: nnf.interpolate(getattr(given, f.name)[k : k + 1], (h, w), mode="bilinear")[0]
            for f in dataclasses.fields(given)
        }
        assert result.labels.shape == (h, w)
        assert result.uv.shape == (2, h, w)
        for y in range(0, h, 3):
            for x in range(0, w, 2):
                part = int(big["fine_segm"][:, y, x].argmax())
                part = part if int(big["coarse_segm"][:, y, x].argmax()) > 0 else 0
                assert result.labels[y, x] == part
                expected = [big[name][part, y, x] if part else 0.0 for name in "uv"]
                assert result.uv[:, y, x].tolist() == pytest.approx([float(e) for e in expected])


def test_confidences():
    more = {"sigma_2": 25, "kappa_u": 25, "kappa_v": 25, "fine_segm_confidence": 1}
    given = output(DensePoseChartPredictorOutputWithConfidences, **more)
    result = chart_results(given, BOXES)[0]
    assert isinstance(result, DensePoseChartResultWithConfidences)
    assert result.coarse_segm_confidence is None
    big = nnf.interpolate(given.sigma_2[:1], (39, 29), mode="bilinear")[0]
    assert result.sigma_2[5, 7] == big[result.labels[5, 7], 5, 7]
    assert result.fine_segm_confidence.shape == (39, 29)
    off = output(DensePoseChartPredictorOutputWithConfidences)
    assert not isinstance(chart_results(off, BOXES)[0], DensePoseChartResultWithConfidences)
    assert chart_results(given[:0], BOXES[:0]) == []


def test_masks_in_the_image():
    given = output()
    masks = output_to_masks(given, BOXES, (40, 50)).tensor
    for mask, result, (x, y, w, h) in zip(
        masks, chart_results(given, BOXES), make_int_box(BOXES), strict=True
    ):
        for row in range(40):
            for column in range(50):
                inside = x <= column < x + w and y <= row < y + h
                assert bool(mask[row, column]) == (inside and bool(result.labels[row - y, column - x] > 0))
    with pytest.raises(ValueError, match="outputs of 3 objects for 2 boxes"):
        output_to_masks(given, BOXES[:2], (40, 50))


def test_small_forms_lose_only_fractions():
    result = chart_results(output(), BOXES)[0]
    small = quantize_chart_result(result)
    assert small.labels_uv_uint8.dtype == torch.uint8
    u = result.uv[0].clamp(0, 1).numpy()
    np.testing.assert_array_equal(small.labels_uv_uint8[1].numpy(), np.trunc(u * np.float32(255)))
    text = compress_chart_result(small)
    assert text.shape_chw == (3, 39, 29)
    assert torch.equal(decompress_chart_result(text).labels_uv_uint8, small.labels_uv_uint8)
    with pytest.raises(ValueError, match="no PNG image"):
        decompress_chart_result(dataclasses.replace(text, labels_uv_str="aaaa"))
    with pytest.raises(ValueError, match="says it has"):
        decompress_chart_result(dataclasses.replace(text, shape_chw=(3, 1, 1)))


@pytest.mark.parametrize("coarse", [2, 15])
def test_output_of_a_mirrored_image(coarse):
    g = torch.Generator().manual_seed(1)
    tables = {name: torch.rand(24, 256, 256, generator=g) for name in ("U_transforms", "V_transforms")}
    symmetries = DensePoseTransformData(tables)
    given = output(DensePoseChartPredictorOutputWithConfidences, coarse, sigma_2=25, coarse_segm_confidence=1)
    back = hflip_chart_output(given, symmetries)
    other = symmetries.POINT_LABEL_SYMMETRIES
    for part in range(1, 25):
        assert torch.equal(back.fine_segm[:, other[part]], given.fine_segm[:, part].flip(2))
        u, v = (getattr(given, name)[1, part, 3, 13 - 5].clamp(0, 1) for name in "uv")
        for name in "uv":
            table = tables[f"{name.upper()}_transforms"][part - 1]
            assert getattr(back, name)[1, other[part], 3, 5] == table[int(v * 255), int(u * 255)]
    swap = list(symmetries.MASK_LABEL_SYMMETRIES) if coarse > 2 else [0, 1]
    assert torch.equal(back.coarse_segm, given.coarse_segm.flip(3)[:, swap])
    assert torch.equal(back.coarse_segm_confidence, given.coarse_segm_confidence.flip(3))
    assert back.kappa_u is None
