"""YOLO folders, those that are right and those that are not."""

import re
import shutil

import numpy as np
import pytest
from reader_files import YAML, image, text, yolo

from lazycfg.data import AnnotationError, YoloDataset
from lazycfg.data.datasets.readers.recognise import find_parts
from lazycfg.structures import BoxMode


def test_boxes_and_polygons_become_pixels(tmp_path):
    yolo(tmp_path, {"a": "1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.5 0.1 0.5 0.9\n", "b": ""})
    image(tmp_path / "images/train/c.png")  # without a file of labels
    dataset = YoloDataset(data=tmp_path / "data.yaml")
    assert dataset.metadata.thing_classes == ("cat", "dog")
    assert [record["image_id"] for record in dataset] == [
        f"images/train/{n}" for n in ("a.jpg", "b.jpg", "c.png")
    ]
    box, polygon = dataset[0]["annotations"]
    assert box["bbox"] == pytest.approx([15, 5, 10, 10])
    assert (box["category_id"], box["bbox_mode"]) == (1, BoxMode.XYWH_ABS)
    assert "segmentation" not in box
    assert polygon["bbox"] == pytest.approx([4, 2, 16, 16])
    assert polygon["segmentation"][0] == pytest.approx([4, 2, 20, 2, 20, 18])
    assert [len(record["annotations"]) for record in dataset] == [2, 0, 0]
    assert dataset.metadata.name == f"{tmp_path.name}_train"
    assert not dataset.warnings


def test_a_folder_will_do_for_its_data_yaml(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2"})
    (tmp_path / "data.yaml").rename(tmp_path / "pets.yml")
    assert len(YoloDataset(data=tmp_path)) == 1
    (tmp_path / "pets.yml").unlink()
    with pytest.raises(AnnotationError, match=r"no data.yaml and no classes.txt.*class_names"):
        YoloDataset(data=tmp_path)
    assert YoloDataset(data=tmp_path, class_names=["x"]).metadata.thing_classes == ("x",)
    text(tmp_path / "classes.txt", b"\xef\xbb\xbfcat\r\ndog\r\n")
    assert YoloDataset(data=tmp_path).metadata.thing_classes == ("cat", "dog")


def test_byte_order_mark_windows_lines_and_capital_endings(tmp_path):
    yolo(tmp_path, {"a": b"\xef\xbb\xbf0 0.5 0.5 0.2 0.2\r\n\r\n1 0.5 0.5 0.1 0.1\r\n"})
    (tmp_path / "images/train/a.jpg").rename(tmp_path / "images/train/a.JPG")
    dataset = YoloDataset(data=tmp_path)
    assert [a["category_id"] for a in dataset[0]["annotations"]] == [0, 1]


def test_turned_images_are_measured_upright(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.5 1.0"})
    image(tmp_path / "images/train/a.jpg", 40, 20, orientation=6)
    record = YoloDataset(data=tmp_path)[0]
    assert (record["width"], record["height"]) == (40, 20)
    assert record["annotations"][0]["bbox"] == pytest.approx([10, 0, 20, 20])


@pytest.mark.parametrize(
    ("path", "train"),
    [
        ("/home/somebody/pets", "images/train"),
        ("C:\\Users\\somebody\\pets", "images\\train"),
        (None, "/home/somebody/pets/images/train"),
        (None, "../images/train"),  # as Roboflow writes it
        (None, "./images/train/"),
    ],
)
def test_paths_of_another_machine_are_found_below_data_yaml(tmp_path, path, train):
    given = "" if path is None else f"path: '{path}'\n"
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2"}, f"{given}train: '{train}'\nval: images/val\nnames: [cat]\n")
    dataset = YoloDataset(data=tmp_path)
    assert len(dataset) == 1
    asked_for = train in ("./images/train/", "../images/train")
    assert any("there is no" in said for said in dataset.warnings) != asked_for


def test_a_split_does_not_warn_of_the_others(tmp_path):
    yolo(
        tmp_path,
        {"a": "0 0.5 0.5 0.2 0.2"},
        "train: images/train\nval: /home/me/images/train\nnames: [cat]\n",
    )
    assert not YoloDataset(data=tmp_path, split="train").warnings
    (warning,) = YoloDataset(data=tmp_path, split="val").warnings
    assert warning.startswith("val: there is no /home/me/images/train; taken: ")


def test_lists_of_images(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": ""})
    text(tmp_path / "train.txt", "./images/train/a.jpg\r\n\\elsewhere\\images\\train\\b.jpg\n")
    text(tmp_path / "data.yaml", "train: train.txt\nval: train.txt\nnames: [cat]\n")
    assert len(YoloDataset(data=tmp_path)) == 2
    text(tmp_path / "train.txt", "images/train/c.jpg\n")
    with pytest.raises(AnnotationError, match=r"train.txt:1: there is no image 'images/train/c.jpg'"):
        YoloDataset(data=tmp_path)


@pytest.fixture
def darknet(tmp_path):
    """A data set as CVAT exports it, "YOLO 1.1"."""
    folder = tmp_path / "task"
    for name, part in (("a", "train"), ("b", "train"), ("c", "valid")):
        image(folder / f"obj_{part}_data" / f"{name}.jpg")
        text(folder / f"obj_{part}_data" / f"{name}.txt", "1 0.5 0.5 0.5 0.5\n")
    text(folder / "train.txt", "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n")
    text(folder / "valid.txt", "data/obj_valid_data/c.jpg\n")
    text(folder / "obj.names", "cat\ndog\n")
    text(
        folder / "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
        "backup = backup/\n",
    )
    (folder / "model.data").write_bytes(bytes(range(256)))
    return folder


@pytest.mark.parametrize("name", ["", "obj.data"])
def test_darknet(darknet, name):
    parts = find_parts(darknet / name)
    assert [part.name for part in parts] == ["train", "val"]
    train, val = (part.open() for part in parts)
    assert (len(train), len(val)) == (2, 1)
    assert train.metadata.thing_classes == ("cat", "dog")
    assert train[0]["annotations"][0]["bbox"] == [10, 5, 20, 10]
    assert train.warnings == val.warnings == []
    assert YoloDataset(data=darknet, class_names=["cow", "dog"]).metadata.thing_classes == ("cow", "dog")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("classes = 2", "classes = 3", "classes is '3', and there are 2 names"),
        ("obj.names", "other.names", "there is no file of names 'data/other.names'"),
        (
            "train = data/train.txt\nvalid =",
            "other =",
            "names no images: it needs 'train', 'valid' or 'test'",
        ),
        ("names =", "name =", "has no 'names', the file of the names of the classes"),
        ("train.txt", "lost.txt", "there is no folder or file 'data/lost.txt'"),
    ],
)
def test_a_wrong_file_of_darknet(darknet, old, new, said):
    file = darknet / "obj.data"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises((AnnotationError, FileNotFoundError), match=said):
        YoloDataset(data=file)


def test_other_files_of_that_ending_are_none_of_darknet(tmp_path):
    text(tmp_path / "iris.data", "5.1,3.5,1.4,0.2,Iris-setosa\n")
    with pytest.raises(ValueError, match="no data set of a format that is known"):
        find_parts(tmp_path / "iris.data")


WRONG = {
    "2 0.5 0.5 0.2 0.2": "class 2 is none of the 2.*do the numbers count from 1",
    "-1 0.5 0.5 0.2 0.2": "class -1 is none of the 2",
    "cat 0.5 0.5 0.2 0.2": "begins with the number of a class, got 'cat'; 'cat' is 0",
    "catt 0.5 0.5 0.2 0.2": "did you mean 'cat'",
    "0.5 0.5 0.5 0.2 0.2": "begins with the number of a class",
    "nan 0.5 0.5 0.2 0.2": "begins with the number of a class",
    "0 0.5 0.5 x 0.2": "expected five numbers .class, x, y, width, height., or .*, got 'x'",
    "0 0.5 0.5 nan 0.2": "not finite",
    "0 0.5 0.5 0.2": "it has 3 numbers after the class; a box has 4",
    "0": "it has 0 numbers after the class",
    "0 0.5 0.5 0.2 0.2 0.9": "is the last one a score",
    "0 0.1 0.1 0.5 0.1 0.5 0.9 0.3": "a polygon of 7 numbers, which is not even",
    "0 0.1 0.1 0.5 0.1 0.5 1.3": "0 to 1, got 1.3$",
    "0 20 10 8 8": "0 to 1, got 20; is it in pixels",
    "0 0.5 0.5 0 0.2": "has no area",
    "0 0.5 0.5 0.2 -0.2": "0 to 1, got -0.2",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_named_with_file_line_and_reason(tmp_path, line):
    yolo(tmp_path, {"a": f"1 0.5 0.5 0.2 0.2\n{line}\n", "b": "0 0.5 0.5 0.1 0.1"})
    with pytest.raises(AnnotationError, match=r"a.txt:2: .*on_error=\"skip\"") as caught:
        YoloDataset(data=tmp_path)
    assert caught.value.remedy == {"on_error": "skip"}
    dataset = YoloDataset(data=tmp_path, on_error="skip")
    (fault,) = dataset.faults
    assert fault.where.endswith("labels/train/a.txt:2")
    assert re.search(WRONG[line], fault.text)
    assert sum(dataset.problems.values()) == 1
    assert [len(record["annotations"]) for record in dataset] == [1, 1]


def test_rounding_over_the_border_is_no_fault(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 1.000001 1.0\n0 -0.0005 0.1 0.5 0.1 0.5 1.002"})
    assert len(YoloDataset(data=tmp_path)[0]["annotations"]) == 2


def test_labels_without_an_image_are_a_fault_with_the_nearest_name(tmp_path):
    yolo(tmp_path, {"cat_001": "0 0.5 0.5 0.2 0.2"})
    text(tmp_path / "labels/train/Cat_001.txt", "")
    text(tmp_path / "labels/train/classes.txt", "cat\n")
    with pytest.raises(AnnotationError, match=r"Cat_001.txt: there is no image.*did you mean 'cat_001.jpg'"):
        YoloDataset(data=tmp_path)


def test_damaged_images_and_labels_are_left_out(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2", "b": "", "c": b"\xff\x00\x81 0.5"})
    text(tmp_path / "images/train/b.jpg", b"no image")
    dataset = YoloDataset(data=tmp_path, on_error="skip")
    assert [fault.kind for fault in dataset.faults] == ["unreadable", "no text"]
    assert len(dataset) == 2


def test_no_labels_at_all_is_a_warning(tmp_path):
    yolo(tmp_path, {"a": ""})
    shutil.rmtree(tmp_path / "labels")
    assert "none of the 1 images has a file of labels" in YoloDataset(data=tmp_path).warnings[0]


def test_two_images_of_one_name_are_a_warning(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2"})
    image(tmp_path / "images/train/a.png")
    assert "belong to two images or more" in YoloDataset(data=tmp_path).warnings[0]


def test_objects_that_are_there_twice_are_a_warning(tmp_path):
    yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n" * 2})
    assert "annotated twice" in YoloDataset(data=tmp_path).warnings[0]


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("train: images/train\n", r"has no 'names'"),
        ("train: images/train\nname: [a]\n", r"has no 'names'.*did you mean 'name'"),
        ("train: images/train\nnames: {0: a, 2: b}\n", r"numbers 0 to 1, each once; wrong: \[1, 2\]"),
        ("train: images/train\nnames: [a]\nnc: 2\n", r"nc is 2, and there are 1 names"),
        ("names: [a]\n", r"names no images"),
        ("train: images/train\nnames: [a\n", r"is not YAML"),
        ("- a\n", r"is no data.yaml"),
        ("train: 3\nnames: [a]\n", r"train must be a folder"),
    ],
)
def test_a_wrong_data_yaml(tmp_path, yaml, said):
    with pytest.raises(AnnotationError, match=said):
        YoloDataset(data=yolo(tmp_path, {"a": ""}, yaml))


def test_folders_and_splits_that_are_not_there(tmp_path):
    path = yolo(tmp_path, {"a": ""}, YAML.replace("images/train", "pictures"))
    with pytest.raises(FileNotFoundError, match=r"train: there is no folder or file .pictures. \(tried: "):
        YoloDataset(data=path)
    path = yolo(tmp_path, {"a": ""})
    with pytest.raises(ValueError, match=r"no split 'test'; it has: train, val"):
        YoloDataset(data=path, split="test")
    with pytest.raises(ValueError, match=r"is split: give split, one of train, val"):
        YoloDataset(data=path, split=None)
    with pytest.raises(FileNotFoundError, match=r"there are no images in .*val"):
        YoloDataset(data=path, split="val")
    with pytest.raises(FileNotFoundError, match=r"no file or folder"):
        YoloDataset(data=tmp_path / "dota.yaml")


def test_keypoints(tmp_path):
    yaml = "train: images/train\nnames: [person]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0 0 0"}, yaml)
    dataset = YoloDataset(data=tmp_path)
    assert dataset.metadata.keypoint_flip_map == (("keypoint 0", "keypoint 1"),)
    assert dataset[0]["annotations"][0]["keypoints"] == pytest.approx([10, 10, 2, 0, 0, 0])
    text(tmp_path / "labels/train/a.txt", "0 0.5 0.5 0.5 0.5 0.25 0.5 2")
    with pytest.raises(AnnotationError, match=r"has 7 numbers after the class; a box and 2.*have 10"):
        YoloDataset(data=tmp_path)


def test_rotated_boxes(tmp_path):
    angle = np.radians(30)
    corners = []
    for u, v in ((-8, -4), (8, -4), (8, 4), (-8, 4)):  # counterclockwise by 30 degrees, y down
        corners += [
            (20 + u * np.cos(angle) + v * np.sin(angle)) / 40,
            (10 - u * np.sin(angle) + v * np.cos(angle)) / 20,
        ]
    yolo(tmp_path, {"a": "0 " + " ".join(map(str, corners)) + "\n1 0.5 0.5 0.5 0.5"})
    first, second = YoloDataset(data=tmp_path, rotated=True)[0]["annotations"]
    assert first["bbox_mode"] == second["bbox_mode"] == BoxMode.XYWHA_ABS
    assert first["bbox"] == pytest.approx([20, 10, 16, 8, 30])
    assert second["bbox"] == pytest.approx([20, 10, 20, 10, 0])
