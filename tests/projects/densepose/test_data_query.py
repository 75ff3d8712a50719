"""The command that prints and draws annotations."""

import json

import numpy as np
import pytest
from PIL import Image

from lazycfg.projects import densepose
from lazycfg.projects.densepose.data import DensePoseCocoDataset
from lazycfg.projects.densepose.query_db import draw_annotations, main, select
from lazycfg.projects.densepose.visualization import parula

CONFIG = f"{densepose.__path__[0]}/configs/quickstart_densepose_figures.py"


@pytest.fixture
def dataset(figures):
    return DensePoseCocoDataset(
        json_file=figures / "figures_test.json", image_root=figures, mesh_names=("figure",)
    )


def test_records_are_chosen(dataset):
    def ids(*conditions):
        return [record["image_id"] for record in select(dataset, conditions)]

    assert ids() == [0, 1, 2, 3, 4, 5]
    assert ids("image_id=3") == [3]
    assert ids("image_id=1-3", "height=96") == [1, 2, 3]
    assert ids("file_name=test_00002.png") == [2]
    assert ids("image_id=77") == []
    for wrong, said in (
        ("image_id", "a condition is"),
        ("image_id=x", "is no number"),
        ("imageid=3", "'image_id'"),
    ):
        with pytest.raises(ValueError, match=said):
            ids(wrong)


def test_print_and_show(figures, datasets_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(datasets_root))
    assert main(["print", "--config", CONFIG, "image_id=0-2", "--max-entries", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    data = json.loads((figures / "figures_test.json").read_text())
    first = [a for a in data["annotations"] if a["image_id"] == 0]
    assert lines[0] == f"image 0: {figures}/img/test_00000.png, 96x96"
    assert f"{len(first[0]['dp_x'])} points (charts, masks, vertices of figure)" in lines[1]
    assert sum(line.startswith("image") for line in lines) == 2
    assert main(["show", "--config", CONFIG, "--output", str(tmp_path), "image_id=1"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/test_00001.png\n"
    with Image.open(tmp_path / "test_00001.png") as drawn:
        assert drawn.size == (480, 480)
    assert main(["print", "--config", CONFIG, "image_id=77"]) == 1
    assert main(["print", "--config", CONFIG, "nothing=1"]) == 2
    assert "records have no field 'nothing'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["show", "--config", CONFIG, "--output", "x", "--draw", "dp_x"])
    assert "--draw: 'dp_x' is none of dp_segm, dp_i" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "key", "most"), [("dp_i", "dp_I", 24), ("dp_u", "dp_U", 1), ("dp_v", "dp_V", 1)]
)
def test_points_lie_where_they_are_and_have_their_colours(dataset, kind, key, most):
    record = next(r for r in dataset if len(r["annotations"]) == 1 and "dp_x" in r["annotations"][0])
    (annotation,) = record["annotations"]
    annotation = {**annotation, **{k: annotation[k][:1] for k in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")}}
    drawn = draw_annotations(
        np.zeros((96, 96, 3), np.uint8), {**record, "annotations": [annotation]}, [kind], scale=4
    )
    x, y, w, h = annotation["bbox"]
    column, row = 4 * (x + annotation["dp_x"][0] / 256 * w), 4 * (y + annotation["dp_y"][0] / 256 * h)
    assert drawn[int(row), int(column)].tolist() == parula(np.array(annotation[key][0] / most)).tolist()
    assert drawn.any(axis=2).sum() < 60


def test_masks_lie_in_their_boxes(dataset):
    record = next(r for r in dataset if len(r["annotations"]) == 1 and "dp_x" in r["annotations"][0])
    drawn = draw_annotations(np.zeros((96, 96, 3), np.uint8), record, ["dp_segm"], scale=2).any(axis=2)
    x, y, w, h = (2 * int(v) for v in record["annotations"][0]["bbox"])
    inside = drawn[y : y + h, x : x + w]
    assert 0.1 < inside.mean() < 1
    assert drawn.sum() == inside.sum()
