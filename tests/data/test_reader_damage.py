"""Files that are damaged anywhere: a reader says what is wrong with them, or reads what is left."""

import json
import random

import pytest
from reader_files import image, labelme, shape, text, voc_object, voc_xml

from lazycfg.data import AnnotationError, BoxCSVDataset, CVATDataset, LabelMeDataset, VOCDataset, YoloDataset


def yolo_file(folder):
    image(folder / "images/a.jpg")
    text(folder / "data.yaml", "path: .\ntrain: images\nnames:\n  0: cat\n  1: dog\nnc: 2\n")
    return text(folder / "labels/a.txt", "1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.5 0.1 0.5 0.9\n"), {"data": folder}


def yolo_yaml(folder):
    yolo_file(folder)
    return folder / "data.yaml", {"data": folder / "data.yaml"}


def voc_file(folder):
    image(folder / "a.jpg")
    xml = voc_xml(voc_object(difficult=1), voc_object("dog"), filename="a.jpg")
    image(folder / "b.jpg")
    text(folder / "b.xml", voc_xml(voc_object(), filename="b.jpg"))
    return text(folder / "a.xml", xml), {"root": folder, "class_names": None}


def labelme_file(folder):
    image(folder / "a.jpg")
    shapes = [shape("a", [[2, 2], [12, 2], [2, 12]]), shape("b", [[2, 2], [12, 12]], "rectangle")]
    return labelme(folder / "a.json", shapes), {"root": folder}


def cvat_file(folder):
    image(folder / "a.jpg")
    shapes = (
        '<box label="cat" xtl="2" ytl="3" xbr="12" ybr="9.5" rotation="10"/>'
        '<polygon label="cat" points="2,2;12,2;2,12"/>'
        '<mask label="cat" rle="1, 2, 1" left="3" top="4" width="2" height="2"/>'
    )
    meta = "<meta><job><labels><label><name>cat</name></label></labels></job></meta>"
    content = f'<annotations>{meta}<image name="a.jpg" width="40" height="20">{shapes}</image></annotations>'
    return text(folder / "a.xml", content), {"xml_file": folder / "a.xml", "image_root": folder}


def csv_file(folder):
    image(folder / "a.jpg")
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    path = text(folder / "t.csv", head + 'a.jpg,40,20,cat,1,2,11,12\na.jpg,40,20,"d,g",1,2,11,12\n')
    return path, {"csv_file": path, "image_root": folder}


KINDS = [
    (YoloDataset, yolo_file),
    (YoloDataset, yolo_yaml),
    (VOCDataset, voc_file),
    (LabelMeDataset, labelme_file),
    (CVATDataset, cvat_file),
    (BoxCSVDataset, csv_file),
]
ODD = (
    b"\xff",
    b"\x00",
    b"-",
    b"9",
    b"e",
    b"nan",
    b"1e999",
    b" ",
    b'"',
    b"<",
    b"[",
    b"{",
    b"null",
    b",",
    b"\r",
    b"",
)


def damaged(content: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(content))
        end = min(len(content), start + rng.choice((0, 1, 1, 1, 4, 40)))
        content = content[:start] + rng.choice(ODD) * rng.choice((1, 1, 1, 30)) + content[end:]
    return content


@pytest.mark.parametrize(("make", "write"), KINDS)
def test_damage_is_told_or_left_out(tmp_path, make, write):
    path, arguments = write(tmp_path)
    content = path.read_bytes()
    assert len(make(**arguments)[0]["annotations"]) >= 2
    outcomes = set()
    for seed in range(150):
        path.write_bytes(damaged(content, seed))
        for on_error in ("raise", "skip"):
            try:
                dataset = make(**arguments, on_error=on_error)
            except (AnnotationError, FileNotFoundError) as error:
                outcomes.add("told" if str(tmp_path) in str(error) else str(error))
                continue
            assert on_error == "skip" or not dataset.faults
            outcomes.add("left out" if dataset.faults else "read")
            json.dumps([{k: v for k, v in record.items() if k != "bbox_mode"} for record in dataset])
    assert outcomes == {"told", "left out", "read"} or (write is yolo_yaml and outcomes == {"told", "read"})
