"""Charts of an analysis of detections."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lazycfg.visualization import draw_analysis
from lazycfg.visualization.charts import bar_chart, confusion_chart, curve_chart

BLUE = (50, 120, 230)


def blue_columns(chart):
    """Return how many columns of pixels each bar has."""
    same = (np.asarray(chart) == BLUE).all(axis=2)
    rows = same.sum(axis=1)
    starts = np.flatnonzero(np.diff(rows.astype(bool).astype(int), prepend=0) == 1)
    return [int(rows[start]) for start in starts]


def test_bars_are_as_long_as_their_values():
    values = {"a": 100.0, "b": 50.0, "c": 0.0, "d": math.nan, "e": None, "f": 25}
    first, half, nothing, quarter = blue_columns(bar_chart(values, title="t", highest=100))
    assert half == pytest.approx(first / 2, abs=2)
    assert quarter == pytest.approx(first / 4, abs=2)
    assert nothing == 1
    assert blue_columns(bar_chart({"a": 3.0, "b": 6.0}, title="t"))[1] == first
    bar_chart({}, title="nothing")


def test_the_largest_number_of_a_row_is_darkest():
    chart = np.asarray(
        confusion_chart([[10, 0], [1, 1]], ["cat", "a name that is much too long to be read"], title="")
    )
    colors = {tuple(color) for color in chart.reshape(-1, 3).tolist()}
    assert (40, 105, 255) in colors  # all of a row
    assert (148, 180, 255) in colors  # half of it
    confusion_chart(np.zeros((90, 90)), [str(i) for i in range(90)], title="many")


def test_curves_are_drawn_and_their_mean():
    with_one = curve_chart({"cat": np.linspace(1, 0, 101).tolist()}, title="t")
    assert (np.asarray(with_one) == (40, 40, 40)).all(axis=2).sum() > 1000
    curve_chart({}, title="none")
    curve_chart({str(i): [1.0, 0.5] for i in range(40)}, title="many")


def test_an_analysis_becomes_files(tmp_path):
    sys.path.append(str(Path(__file__).parents[1] / "evaluation"))
    from coco_plain import random_data

    from lazycfg.evaluation import analyse_detections

    analysis = analyse_detections(*random_data(3, "bbox", images=5, objects=8, found=20, classes=3))
    paths = draw_analysis(analysis, tmp_path / "new" / "folder")
    names = [f"bbox_{name}.png" for name in ("errors", "confusion", "curves", "sizes", "counts")]
    assert [path.name for path in paths] == names
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 50
    truth, detections = random_data(3, "bbox")
    draw_analysis(analyse_detections({**truth, "annotations": []}, detections), tmp_path)
