"""What is seen on a terminal of 80 columns."""

import os
import pty
import subprocess
import sys

import pytest
from screen import run_on_terminal

from lazycfg.evaluation.tables import metrics_table, per_class_table

METRICS = {
    **dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), 12.5),
    **{name: float("nan") for name in ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")},
}


def test_values_stand_under_their_names():
    lines = metrics_table(METRICS).split("\n")
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) == 2
    narrow = metrics_table(METRICS, width=30).split("\n")
    assert all(len(line) <= 30 for line in narrow)
    names = [name for line in narrow[0::2] for name in line.split()]
    values = [value for line in narrow[1::2] for value in line.split()]
    assert names == list(METRICS)
    assert values == ["12.50"] * 6 + ["nan"] * 6
    for above, below in zip(narrow[0::2], narrow[1::2], strict=True):
        assert len(above) == len(below)


def rows(count, name="class"):
    return [
        {"class": f"{name}{i}", "objects": 10, "AP": 1.0, "AP50": 2.0, "AP75": 3.0, "AR": 4.0}
        for i in range(count)
    ]


def test_tables_of_classes_fit():
    for count, name in ((5, "dog"), (50, "dog"), (50, "a class with a very long name, " * 4), (30, "x" * 25)):
        lines = per_class_table(rows(count, name)).split("\n")
        assert all(len(line) <= 80 for line in lines)
        assert sum(line.count("10") > 0 for line in lines) >= min(count, 25)
    assert len(per_class_table([{"class": f"c{i}", "AP": 1.0} for i in range(50)]).split("\n")) == 26


CODE = """
import logging
from lazycfg.engine.log import run_logging
with run_logging(None):
    log = logging.getLogger("lazycfg.x")
    log.info("one word after the other, " * 8)
    log.info("Results:\\n%s", "0123456789" * 8)
    log.warning("look out\\x1b[2J")
"""


def test_lines_of_the_log_are_wrapped():
    main, other = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", CODE], stderr=other, stdout=other, env={**os.environ, "COLUMNS": "80"}
    )
    assert done.wait(120) == 0
    os.close(other)
    text = os.read(main, 1 << 16).decode()
    lines = text.replace("\r", "").strip("\n").split("\n")
    assert all(len(line) <= 80 for line in lines[:-1])
    assert lines[1][:9].isspace()
    assert lines[1][9].isalpha()
    assert lines[-2] == "0123456789" * 8
    assert lines[-1].startswith("\x1b[33m")
    assert "WARNING: look out" in lines[-1]
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(
    "words",
    [
        ["quickstart/mask_rcnn_shapes.py"],
        ["COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py", "train.max_iter=-3"],
        ["MViTv2/cascade_mask_rcnn_mvitv2_t_3x.py"],
    ],
)
def test_a_check_fits(words):
    screen, text, _ = run_on_terminal(["-c", "from lazycfg.cli import main; main()", "check", *words])
    assert not screen.too_long
    assert any(line.startswith("part ") for line in screen.lines) or "=" in words[-1]
    assert screen.lines[-2].startswith(("no problems found", "1 problem")), text
