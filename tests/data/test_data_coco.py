import copy
import json
import pickle

import pytest
from PIL import Image

from lazycfg.data import (
    AnnotationError,
    CocoDataset,
    ConcatDataset,
    DatasetFromList,
    FilteredDataset,
    Metadata,
    SubsetDataset,
    check_dataset,
    convert_to_coco_json,
    get_detection_dataset_dicts,
    summarize,
)
from lazycfg.data.datasets import SerializedList, get_image_sizes
from lazycfg.structures import BoxMode

GOOD = {
    "images": [
        {"id": 10, "file_name": "a.jpg", "width": 40, "height": 30},
        {"id": 7, "file_name": "b.png", "width": 20, "height": 20},
        {"id": 8, "file_name": "c.png", "width": 20, "height": 20},
    ],
    "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 10,
            "category_id": 5,
            "bbox": [1, 2, 10, 12],
            "area": 60,
            "iscrowd": 0,
            "segmentation": [[1, 2, 11, 2, 11, 14]],
        },
        {"id": 2, "image_id": 10, "category_id": 2, "bbox": [5, 5, 50, 10]},
        {
            "id": 3,
            "image_id": 7,
            "category_id": 2,
            "bbox": [0, 0, 20, 20],
            "iscrowd": 1,
            "segmentation": {"size": [20, 20], "counts": [0, 400]},
        },
    ],
}


def write(folder, data=GOOD, json_name="data.json", images="."):
    (folder / images).mkdir(parents=True, exist_ok=True)
    for im in data["images"]:
        if "width" in im and "file_name" in im:
            Image.new("RGB", (40, 30) if im["file_name"] == "a.jpg" else (20, 20)).save(
                folder / images / im["file_name"]
            )
    path = folder / json_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def changed(part, index, **changes):
    data = copy.deepcopy(GOOD)
    data[part][index].update(changes)
    for key in [k for k, v in changes.items() if v is None]:
        del data[part][index][key]
    return data


def test_records_follow_the_known_layout(tmp_path):
    dataset = CocoDataset(json_file=write(tmp_path), name="pets")
    assert len(dataset) == 3
    assert dataset.num_classes == 2
    assert dataset.metadata.name == "pets"
    assert dataset.metadata.thing_classes == ("cat", "dog")
    assert dataset.metadata.thing_dataset_id_to_contiguous_id == {2: 0, 5: 1}
    record = dataset[0]
    assert record["file_name"] == str(tmp_path / "a.jpg")
    assert (record["image_id"], record["height"], record["width"]) == (10, 30, 40)
    assert record["annotations"][0] == {
        "bbox": [1.0, 2.0, 10.0, 12.0],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 1,
        "iscrowd": 0,
        "area": 60.0,
        "segmentation": [[1, 2, 11, 2, 11, 14]],
    }
    assert dataset[1]["annotations"][0]["iscrowd"] == 1
    assert dataset[-1]["annotations"] == []
    record["annotations"].clear()
    assert len(dataset[0]["annotations"]) == 2
    assert dataset.image_sizes.tolist() == [[30, 40], [20, 20], [20, 20]]
    assert not dataset.problems
    with pytest.raises(IndexError):
        dataset[3]


@pytest.mark.parametrize(
    ("json_name", "images"),
    [
        ("annotations.json", "."),
        ("annotations.json", "images"),
        ("annotations/train.json", "train"),
        ("annotations/train.json", "."),
        ("annotations/train.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("labels/my_train_set.json", "images/train"),
        ("shapes.json", "shapes"),
    ],
)
def test_pictures_are_found_near_the_annotation_file(tmp_path, json_name, images):
    dataset = CocoDataset(json_file=write(tmp_path, json_name=json_name, images=images))
    assert dataset.image_root == str((tmp_path / images).resolve())


def test_pictures_not_found_lists_the_places(tmp_path):
    path = write(tmp_path, json_name="annotations/instances_train2017.json", images="elsewhere")
    with pytest.raises(FileNotFoundError) as error:
        CocoDataset(json_file=path)
    text = str(error.value)
    assert "a.jpg" in text
    assert str(tmp_path / "annotations" / "images") in text
    assert f"{tmp_path / 'train2017'}  (no such folder)" in text
    assert "image_root=" in text
    assert len(CocoDataset(json_file=path, image_root=tmp_path / "elsewhere")) == 3
    with pytest.raises(FileNotFoundError, match="no folder"):
        CocoDataset(json_file=path, image_root=tmp_path / "nowhere")


def test_missing_annotation_file_names_its_neighbours(tmp_path):
    write(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"dat\.json.*data\.json"):
        CocoDataset(json_file=tmp_path / "dat.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        CocoDataset(json_file=tmp_path / "bad.json")
    (tmp_path / "list.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match="needs a list 'annotations'"):
        CocoDataset(json_file=tmp_path / "list.json")


NAN = float("nan")
WRONG = [
    (changed("annotations", 0, category_id=9), r"annotation 1 of a\.jpg: category_id 9"),
    (changed("annotations", 0, bbox=[1, 2, 0, 5]), r"annotation 1 of a\.jpg: bbox \[1, 2, 0, 5\].*no area"),
    (changed("annotations", 0, bbox=[1, 2, NAN, 5]), r"a\.jpg: bbox.*finite"),
    (changed("annotations", 0, bbox=[41, 2, 3, 5]), r"a\.jpg: bbox.*outside the image of 40x30"),
    (changed("annotations", 0, bbox=[1, 2, 3]), r"a\.jpg: bbox must be"),
    (changed("annotations", 0, bbox=None), r"a\.jpg: it has no box: bbox must be"),
    (changed("annotations", 0, segmentation=[[1, 2, 3, 4, 5, 6, 7]]), r"a\.jpg: segmentation.*7 numbers"),
    (changed("annotations", 0, segmentation=[[1, 2, 3, 4]]), r"a\.jpg: segmentation.*2 points"),
    (changed("annotations", 0, segmentation=[[1, 2, 3, 4, NAN, 6]]), r"a\.jpg: segmentation.*finite"),
    (changed("annotations", 0, segmentation=[1, 2, 3]), r"a\.jpg: segmentation must be a list of polygons"),
    (changed("annotations", 2, segmentation={"size": [20, 21], "counts": [420]}), r"b\.png: RLE.*size"),
    (changed("annotations", 2, segmentation={"size": [20, 20], "counts": [3]}), r"b\.png: RLE.*3 pixels"),
    (changed("annotations", 0, iscrowd=3), "iscrowd"),
    (changed("annotations", 0, image_id=99), "annotation 1: image_id 99"),
    (changed("annotations", 0, keypoints=[1, 2]), "keypoints"),
    (changed("images", 0, width=0), r"image 10 \(a\.jpg\): width"),
    (changed("images", 0, height=None), r"image 10 \(a\.jpg\): it has no 'height'"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_what_cannot_be_right_names_file_and_record(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(AnnotationError, match=message) as error:
        CocoDataset(json_file=path)
    assert str(path) in str(error.value)
    skipping = CocoDataset(json_file=path, on_error="skip")
    assert sum(skipping.problems.values()) == 1
    left = len(skipping), sum(len(r["annotations"]) for r in skipping)
    unusable = [a for r in skipping for a in r["annotations"] if "unusable" in a]
    assert left == {True: (3, 3), False: (3, 2)}[bool(unusable)] or left == (2, 1)
    assert bool(unusable) == ("segmentation" in message or "RLE" in message or message == "keypoints")


def test_doubled_ids_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match=r"image ids \[7\]"):
        CocoDataset(json_file=write(tmp_path, changed("images", 0, id=7)))
    with pytest.raises(ValueError, match=r"category ids \[2\]"):
        CocoDataset(json_file=write(tmp_path, changed("categories", 0, id=2)))


def test_missing_pictures_raise_or_are_counted(tmp_path, caplog):
    path = write(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 3 images.*b\.png"):
        CocoDataset(json_file=path)
    with caplog.at_level("WARNING"):
        dataset = CocoDataset(json_file=path, on_error="skip")
    assert [r["image_id"] for r in dataset] == [10, 8]
    assert dataset.problems == {"image: the file is missing": 1}
    assert "skipped 1 image: 1 x the file is missing (first: image 7 (b.png))" in caplog.text


def test_sizes_are_compared_with_the_pictures_on_request(tmp_path):
    path = write(tmp_path, changed("images", 0, width=41))
    assert len(CocoDataset(json_file=path)) == 3
    with pytest.raises(AnnotationError, match=r"a\.jpg.*is 40x30, the record says 41x30"):
        CocoDataset(json_file=path, verify_images=True)
    assert len(CocoDataset(json_file=path, verify_images=True, on_error="skip")) == 2
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(AnnotationError, match=r"b\.png.*cannot be opened"):
        CocoDataset(json_file=write_json(tmp_path), verify_images=True)


def write_json(folder):
    path = folder / "only.json"
    path.write_text(json.dumps(GOOD))
    return path


def keypoint_data():
    data = copy.deepcopy(GOOD)
    for c in data["categories"]:
        c["keypoints"] = ["nose", "left_ear", "right_ear"]
    for a in data["annotations"][:2]:
        a["keypoints"] = [3, 4, 2, 0, 0, 0, 9, 9, 1]
    return data


def test_keypoints_become_continuous_and_their_mirror_images_are_known(tmp_path):
    dataset = CocoDataset(json_file=write(tmp_path, keypoint_data()), keypoint_oks_sigmas=[0.1, 0.2, 0.3])
    assert dataset.metadata.keypoint_names == ("nose", "left_ear", "right_ear")
    assert dataset.metadata.keypoint_flip_map == (("left_ear", "right_ear"),)
    assert dataset[0]["annotations"][0]["keypoints"] == [3.5, 4.5, 2, 0, 0, 0, 9.5, 9.5, 1]
    back = json.loads(convert_to_coco_json(dataset, tmp_path / "back.json").read_text())
    assert back["annotations"][0]["keypoints"] == [3, 4, 2, 0, 0, 0, 9, 9, 1]
    assert [c["id"] for c in back["categories"]] == [2, 5]
    data = keypoint_data()
    data["annotations"][0]["keypoints"] = [1, 2, 2]
    with pytest.raises(AnnotationError, match="it has 1 keypoints, its category 3"):
        CocoDataset(json_file=write(tmp_path, data))


def test_filters(tmp_path):
    dataset = CocoDataset(json_file=write(tmp_path, keypoint_data()))
    kept = FilteredDataset(dataset=dataset)
    assert [r["image_id"] for r in (kept[i] for i in range(len(kept)))] == [10]
    assert kept.num_classes == 2
    assert kept.image_sizes.tolist() == [[30, 40]]
    assert len(FilteredDataset(dataset=dataset, min_keypoints=4)) == 1
    assert len(FilteredDataset(dataset=dataset, min_keypoints=5)) == 0
    assert len(FilteredDataset(dataset=dataset, filter_empty=False)) == 3
    assert len(FilteredDataset(dataset=dataset, keep=lambda r: r["image_id"] != 10)) == 0
    both = get_detection_dataset_dicts([dataset, dataset])
    assert len(both) == 2
    with pytest.raises(IndexError):
        SubsetDataset(dataset=dataset, indices=[3])


def test_concatenation_needs_the_same_classes(tmp_path):
    one = CocoDataset(json_file=write(tmp_path))
    both = ConcatDataset(datasets=[one, one])
    assert len(both) == 6
    assert both[4] == one[1]
    assert both[-1] == one[2]
    assert both.get_annotations(3) == one[0]
    assert get_image_sizes(both).shape == (6, 2)
    other = DatasetFromList([], metadata=Metadata(name="o", thing_classes=("cat", "cow")))
    with pytest.raises(ValueError, match=r"dataset 1 \('o'\).*cow"):
        ConcatDataset(datasets=[one, other])


def test_check_dataset_reports_everything_at_once(tmp_path):
    dataset = CocoDataset(json_file=write(tmp_path))
    with pytest.raises(ValueError, match="does not fit") as error:
        check_dataset(dataset, num_classes=1, masks=True, keypoints=17)
    text = str(error.value)
    assert "category ids up to 1 but the model tells 1 classes apart" in text
    assert "set the model's num_classes to 2" in text
    assert "1 of 2 instances have no masks (first: record 0, image_id 10" in text
    assert "2 of 2 instances have no keypoints" in text
    summary = check_dataset(dataset, num_classes=2)
    assert (summary.num_images, summary.num_instances, summary.num_crowd) == (3, 2, 1)
    assert summary.num_empty_images == 2
    assert "dog: 1" in summary.table(dataset.metadata.thing_classes)
    assert summarize(FilteredDataset(dataset=dataset)).num_images == 1
    with pytest.raises(ValueError, match="no images"):
        check_dataset(DatasetFromList([]))
    with pytest.raises(ValueError, match="2 classes but the model's num_classes is 3"):
        check_dataset(dataset, num_classes=3)


def test_check_dataset_counts_keypoints(tmp_path):
    dataset = CocoDataset(json_file=write(tmp_path, keypoint_data()))
    check_dataset(dataset, keypoints=3)
    with pytest.raises(ValueError, match=r"expected \[17\]"):
        check_dataset(dataset, keypoints=17)


def test_serialized_list_keeps_items_and_travels():
    items = [{"a": 1}, [1.5, "x"], None, (2, 3)]
    packed = SerializedList(items)
    assert list(packed) == items
    assert packed[-1] == (2, 3)
    assert packed[1:3] == items[1:3]
    assert list(pickle.loads(pickle.dumps(packed))) == items
    assert packed.nbytes < 200
    assert len(SerializedList([])) == 0
