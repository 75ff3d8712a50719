"""`lazycfg prepare`: the files that some data sets need besides those of their archives."""

import json
from pathlib import Path

import numpy as np
import panoptic_files
import pytest
from PIL import Image
from reader_files import mask, text

from lazycfg.cli import main
from lazycfg.cli.commands.prepare import COCO_IDS
from lazycfg.data import CocoPanopticDataset, LVISDataset, ShapesDataset
from lazycfg.data.datasets.coco_categories import read_categories

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys):
    def call(*words):
        try:
            status = main(["prepare", *map(str, words)])
        except SystemExit as leaving:
            status = leaving.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_panoptic_to_semantic(run, tmp_path):
    paths = panoptic_files.write_panoptic(tmp_path, "val")
    status, out, _ = run("panoptic-to-semantic", paths.panoptic_json)
    assert status == 0
    folder = tmp_path / "panoptic_stuff_val2017"
    assert out == f"2 maps in {folder}\n"
    arguments = {
        "panoptic_json": paths.panoptic_json,
        "panoptic_root": paths.panoptic_root,
        "image_root": paths.image_root,
    }
    with_files = CocoPanopticDataset(**arguments, sem_seg_root=folder)
    made = CocoPanopticDataset(**arguments)
    for one, other in zip(with_files, made, strict=True):
        labels = np.asarray(Image.open(one["sem_seg_file_name"]))
        assert labels.dtype == np.uint8
        assert (labels == other["sem_seg"]).all()
        assert set(np.unique(labels)) == {0, 1, 2, 255}
    assert "give --panoptic-root" in run("panoptic-to-semantic", paths.instances_json)[2]


def test_ade20k(run, tmp_path):
    values = np.arange(151).reshape(1, -1)
    mask(tmp_path / "annotations/training/a.png", values)
    assert run("ade20k", tmp_path)[0] == 0
    made = np.asarray(Image.open(tmp_path / "annotations_detectron2/training/a.png"))
    assert made.tolist() == [[255, *range(150)]]
    mask(tmp_path / "annotations/training/a.png", values + 1)
    assert "has the label 151" in run("ade20k", tmp_path)[2]
    assert "no PNG files below" in run("ade20k", tmp_path / "no")[2]


def test_cocofied_lvis(run, tmp_path):
    synsets = {3: "cat.n.01", 5: "aerosol.n.02", 9: "dog.n.01", 11: "zebra.n.01"}
    box = {"bbox": [1, 1, 5, 5], "area": 25, "segmentation": [[1, 1, 6, 1, 6, 6, 1, 6]]}
    url = "http://images.cocodataset.org/val2017/000000000009.jpg"
    lists = {"neg_category_ids": [5, 9], "not_exhaustive_category_ids": [3, 5]}
    content = {
        "info": {"version": "v1"},
        "images": [{"id": 9, "coco_url": url, "width": 40, "height": 20, **lists}],
        "annotations": [
            {"id": 7, "image_id": 9, "category_id": 5, **box},
            {"id": 8, "image_id": 9, "category_id": 3, **box},
        ],
        "categories": [
            {"id": n, "name": s.split(".")[0], "synset": s, "synonyms": [s.split(".")[0]], "frequency": "f"}
            for n, s in synsets.items()
        ],
    }
    file = text(tmp_path / "lvis_v1_val.json", json.dumps(content))
    assert run("cocofied-lvis", file)[0] == 0
    made = tmp_path / "lvis_v1_val_cocofied.json"
    result = json.loads(made.read_text())
    assert [(a["id"], a["category_id"]) for a in result["annotations"]] == [(1, 17)]
    assert result["images"][0]["neg_category_ids"] == [18]
    assert result["images"][0]["not_exhaustive_category_ids"] == [17]
    assert [(c["id"], c["synset"]) for c in result["categories"]] == [(17, "cat.n.01"), (18, "dog.n.01")]
    dataset = LVISDataset(json_file=made, image_root=tmp_path, verify_images=False)
    assert dataset.metadata.thing_classes == ("cat", "dog")
    assert "is there already" in run("cocofied-lvis", file)[2]
    text(file, json.dumps({**content, "categories": [{"id": 1, "name": "cat"}]}))
    assert "is no file of LVIS: KeyError('synset')" in run("cocofied-lvis", file)[2]


def test_the_80_categories_of_coco_have_a_name_in_wordnet():
    ids = list(COCO_IDS.values())
    missing = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # COCO's gaps
    assert ids == [i for i in range(1, 91) if i not in missing]
    assert len(read_categories([{"id": i, "name": n} for n, i in COCO_IDS.items()], "x").ids) == 80


def test_a_subset(run, tmp_path):
    file, _ = ShapesDataset(num_images=8, image_size=48, seed=0).export_coco(tmp_path)
    for words, name in (((), "a"), ((), "b"), (("--seed", "1"), "c")):
        assert run("coco-subset", file, "--number", 3, "--output", tmp_path / f"{name}.json", *words)[0] == 0
    a, b, c = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "abc")
    assert a == b
    assert [i["id"] for i in a["images"]] != [i["id"] for i in c["images"]]
    assert {x["image_id"] for x in a["annotations"]} == {i["id"] for i in a["images"]}
    assert len(a["images"]) == 3
    assert run("coco-subset", file, "--number", 8)[1].startswith("8 images, ")
    assert (tmp_path / "annotations_8.json").is_file()
    assert "--number must be 1 to 8, got 100" in run("coco-subset", file)[2]
