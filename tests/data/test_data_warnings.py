"""What a dataset says of itself: warnings, skipped entries, why nothing is left."""

import json
import logging

import numpy as np
import odd_datasets as odd
import pytest
import torch

from lazycfg.data import (
    AnnotationError,
    CocoDataset,
    ConcatDataset,
    DatasetFromList,
    DatasetMapper,
    FilteredDataset,
    Metadata,
    ShapesDataset,
    SubsetDataset,
    build_detection_test_loader,
    build_detection_train_loader,
    export_coco,
    summarize,
)
from lazycfg.data.datasets.base import is_validated
from lazycfg.data.datasets.plausibility import mask_extent
from lazycfg.evaluation import COCOEvaluator
from lazycfg.projects.point_sup import PointsFromMasks
from lazycfg.structures import Boxes, BoxMode, Instances
from lazycfg.structures.rle import encode_mask


@pytest.fixture
def made(tmp_path):
    """Builds the dataset of an edited file."""

    def make(edit=None, **options):
        data = odd.coco()
        if edit is not None:
            edit(data)
        return CocoDataset(json_file=odd.write(tmp_path, data), **options)

    return make


def each(function):
    def edit(data):
        for annotation in data["annotations"]:
            function(annotation)

    return edit


def only_boxes(annotation):
    del annotation["segmentation"]


def test_right_annotations_give_no_warning(made, tmp_path):
    assert made().warnings == []
    assert made(each(only_boxes)).warnings == []
    assert made(lambda data: data["annotations"].clear()).warnings == []
    assert made(each(lambda annotation: annotation.update(iscrowd=1))).warnings == []
    shapes = ShapesDataset(num_images=20, image_size=(50, 70))
    json_file, image_root = export_coco(shapes, tmp_path / "shapes")
    assert CocoDataset(json_file=json_file, image_root=image_root).warnings == []


@pytest.mark.parametrize("factor", [0, 100])
def test_areas_that_are_not_those_of_the_objects(made, factor):
    (sentence,) = made(each(lambda annotation: annotation.update(area=annotation["area"] * factor))).warnings
    assert sentence.startswith("the area of 6 of 6 objects is 0 or larger than their box (first: record 0")


def test_what_is_there_twice(made):
    def annotation_twice(data):
        data["annotations"].append({**data["annotations"][2], "id": 99})

    (sentence,) = made(annotation_twice).warnings
    assert sentence.startswith("annotated twice, with the same class, box and mask: 1 object (first: ")
    assert "record 1, image_id 2" in sentence

    def another_mask(data):
        annotation_twice(data)
        x, y, w, h = data["annotations"][2]["bbox"]
        data["annotations"][-1]["segmentation"] = [odd.box_polygon(x, y, w - 1, h)]

    assert made(another_mask).warnings == []

    def file_twice(data):
        data["images"][2]["file_name"] = data["images"][0]["file_name"]

    (sentence,) = made(file_twice).warnings
    assert sentence.startswith("listed as two images or more: 1 file (first: 0.png)")


def test_what_is_there_twice_in_a_dataset_of_ones_own(caplog):
    polygons = [np.array([0.0, 0, 9, 0, 9, 9])]
    box = {"category_id": 0, "bbox": np.array([0, 0, 9, 9]), "bbox_mode": BoxMode.XYWH_ABS}
    record = {"file_name": "a.png", "height": 9, "width": 9}
    record["annotations"] = [{**box, "segmentation": polygons} for _ in range(2)]
    dataset = DatasetFromList([record, record])
    build_detection_train_loader(dataset=dataset, mapper=DatasetMapper(is_train=True), total_batch_size=1)
    assert "box and mask: 2 objects" in caplog.text
    assert "(first: a.png)" in caplog.text


def as_corners(annotation):
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x, y, x + w, y + h]


def test_boxes_that_are_corners(made, caplog):
    def without_masks(annotation):
        as_corners(annotation)
        only_boxes(annotation)

    with caplog.at_level(logging.WARNING):
        (sentence,) = made(each(without_masks)).warnings
    assert sentence in caplog.text
    assert "3 of 6 boxes reach beyond their image" in sentence
    assert "are they corners?" in sentence
    # Small ones reach nowhere, but do not fit their masks

    def small(annotation):
        annotation["bbox"] = [2, 3, 10, 11]
        annotation["segmentation"] = [odd.box_polygon(2, 3, 8, 8)]

    (sentence,) = made(each(small)).warnings
    assert "6 of 6 masks do not fit their boxes" in sentence


def test_boxes_that_are_relative(made):
    def relative(annotation):
        x, y, w, h = annotation["bbox"]
        annotation["bbox"] = [x / odd.WIDTH, y / odd.HEIGHT, w / odd.WIDTH, h / odd.HEIGHT]
        only_boxes(annotation)

    (sentence,) = made(each(relative)).warnings
    assert "6 of 6 boxes lie within the first pixel" in sentence


def test_masks_elsewhere_and_row_by_row(made):
    def elsewhere(data):
        data["annotations"][2]["segmentation"] = [odd.box_polygon(40, 30, 10, 8)]

    (sentence,) = made(elsewhere).warnings
    assert sentence.startswith("1 of 6 masks lie outside their boxes (first: record 1, image_id 2")

    def by_rows(annotation):
        x, y, w, h = annotation["bbox"]
        mask = np.zeros((odd.HEIGHT, odd.WIDTH), dtype=bool)
        mask[y : y + h, x : x + w] = True
        wrong = encode_mask(mask.T)  # runs along the rows of the image
        annotation["segmentation"] = {"size": [odd.HEIGHT, odd.WIDTH], "counts": wrong["counts"]}

    (sentence,) = made(each(by_rows)).warnings
    assert "6 of 6 masks lie outside their boxes" in sentence
    assert "read row by row they fit" in sentence


def test_masks_without_an_area(made):
    def change(data):
        size = [odd.HEIGHT, odd.WIDTH]
        data["annotations"][0]["segmentation"] = {"size": size, "counts": [odd.HEIGHT * odd.WIDTH]}
        x, y = data["annotations"][2]["bbox"][:2]
        data["annotations"][2]["segmentation"] = [[x, y, x + 2, y, x + 4, y]]

    (sentence,) = made(change).warnings
    assert sentence.startswith("masks without an area: 2 (first: record 0")


def test_extent_of_run_lengths():
    random = np.random.default_rng(0)
    for _ in range(50):
        mask = np.zeros((13, 9), dtype=bool)
        y, x = random.integers(0, 13), random.integers(0, 9)
        mask[y : y + random.integers(1, 13), x : x + random.integers(1, 9)] = True
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        wanted = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert mask_extent(encode_mask(mask)) == wanted
        transposed = {"size": [13, 9], "counts": encode_mask(mask.T)["counts"]}
        assert mask_extent(transposed, by_rows=True) == wanted
    assert mask_extent(encode_mask(np.zeros((3, 4), dtype=bool))) is None


def test_categories_of_one_name_are_told_apart(made):
    def rename(data):
        data["categories"][0]["name"] = "b"

    dataset = made(rename)
    assert dataset.metadata.thing_classes == ("b (id 1)", "b (id 2)")
    assert "categories of the same name: 'b' (2 times)" in dataset.warnings[0]
    own = odd.OwnDataset(odd.records(), Metadata(thing_classes=("b", "b")))
    with pytest.raises(AnnotationError, match="classes of the same name: 'b'"):
        build_detection_train_loader(dataset=own, mapper=DatasetMapper(is_train=True), total_batch_size=1)


def test_the_skeleton_is_read(made):
    rules = made().metadata.keypoint_connection_rules
    assert [rule[:2] for rule in rules] == [("nose", "left_ear"), ("nose", "right_ear")]

    def beyond(data):
        for category in data["categories"]:
            category["skeleton"] = [[1, 4]]

    dataset = made(beyond)
    assert dataset.metadata.keypoint_connection_rules == ()
    assert "counted from 1 to 3" in dataset.warnings[0]


def test_control_characters_are_escaped(made):
    def edit(data):
        data["categories"][0]["name"] = "a\x1b[31m\n"

    assert made(edit).metadata.thing_classes[0] == "a\\x1b[31m\\n"

    def file_name(data):
        data["images"][0]["file_name"] = "\x1b[2J\n0.png"

    with pytest.raises(FileNotFoundError) as error:
        made(file_name)
    assert "\x1b" not in str(error.value)


def test_names_that_lead_out_of_the_folder_are_followed_and_said(made, tmp_path):
    def edit(data):
        data["images"][0]["file_name"] = f"../{tmp_path.name}/0.png"

    dataset = made(edit)
    assert "1 of 3 file names are absolute or lead out of image_root" in dataset.warnings[0]
    assert DatasetMapper(is_train=False)(dataset[0])["image"].shape == (3, odd.HEIGHT, odd.WIDTH)


def test_skipped_entries_are_counted_with_words(made, caplog):
    def edit(data):
        for i in (0, 1):
            data["annotations"][i]["bbox"][2] = 0
        data["annotations"][2]["category_id"] = "cat-a"
        data["annotations"][3]["segmentation"] = [[1, 2, 3, 4]]

    with caplog.at_level(logging.WARNING):
        dataset = made(edit, on_error="skip")
    assert (
        "skipped 3 annotations: 2 x box without area (first: annotation 1 of 0.png), "
        "1 x unknown category (first: annotation 3 of 1.png); "
        "1 mask: 1 x polygon of fewer than 3 points (first: annotation 4 of 1.png)"
    ) in caplog.text
    assert dataset.problems["annotation: box without area"] == 2
    with pytest.raises(AnnotationError) as error:
        made(edit)
    assert error.value.remedy == {"on_error": "skip"}


def test_boxes_are_kept_where_only_unused_masks_are_bad(made, caplog):
    def edit(data):
        data["annotations"][0]["segmentation"] = [1, 2, 3, 4, 5, 6]
        data["annotations"][2]["keypoints"] = [1, 2]

    with pytest.raises(AnnotationError, match=r'one flat list.*ignore_keys=\["segmentation"\]'):
        made(edit)
    ignoring = made(edit, ignore_keys=["segmentation", "keypoints"])
    assert not any("segmentation" in a or "keypoints" in a for r in ignoring for a in r["annotations"])
    assert ignoring.metadata.keypoint_names == ()
    skipping = made(edit, on_error="skip")
    counts = {}
    for options in ({}, {"use_instance_mask": True}, {"use_keypoint": True}):
        loader = build_detection_train_loader(
            dataset=skipping, mapper=DatasetMapper(is_train=True, **options), total_batch_size=3
        )
        samples = sorted(next(iter(loader)), key=lambda sample: sample["image_id"])
        counts[(*options, "boxes")[0]] = [len(sample["instances"]) for sample in samples]
    assert counts == {"boxes": [2, 2, 2], "use_instance_mask": [1, 2, 2], "use_keypoint": [2, 1, 2]}
    assert "1 of 6 instances are left out, as their segmentation cannot be used" in caplog.text
    with pytest.raises(ValueError, match="ignore_keys must be a list of any of"):
        made(ignore_keys=["masks"])


def test_categories_can_be_left_out_and_empty_ones_are_named(made, caplog):
    def with_root(data):
        data["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})

    with caplog.at_level(logging.WARNING):
        build_detection_train_loader(
            dataset=made(with_root), mapper=DatasetMapper(is_train=True), total_batch_size=1
        )
    assert "1 of 3 classes have no example: 'things'" in caplog.text
    assert "CocoDataset(ignore_categories=['things'])" in caplog.text
    dataset = made(with_root, ignore_categories=["things"])
    assert dataset.metadata.thing_classes == ("a", "b")
    assert made(ignore_categories=["a"]).summary.num_instances == 3
    with pytest.raises(AnnotationError, match=r"no category 'thing'; did you mean 'things'\?"):
        made(with_root, ignore_categories=["thing"])


def test_ids_as_text(made):
    def both(data):
        for entry in data["categories"]:
            entry["id"] = str(entry["id"])
        for entry in data["annotations"]:
            entry["category_id"] = str(entry["category_id"])

    assert made(both).metadata.thing_dataset_id_to_contiguous_id == {1: 0, 2: 1}

    def words(data):
        data["categories"][0]["id"] = "cat-a"

    for on_error in ("raise", "skip"):
        with pytest.raises(AnnotationError, match=r"data\.json: categories\[0\] has the id 'cat-a': ids"):
            made(words, on_error=on_error)

    def images(data):
        data["images"][0]["id"] = "1"

    with pytest.raises(AnnotationError, match="ids of images are text there, and this is a number"):
        made(images)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2], [3, 4], [5, 6]], r"points \[\[x, y\], ...\]; it must be a list of polygons, each flat"),
        ([[[1, 2], [3, 4], [5, 6]]], "points"),
        ([[1, 2, "3", 4, 5, 6]], "not finite numbers"),
        ({"size": [40, 60], "counts": "eJwD!"}, "base64"),
        ({"size": [40, 60], "counts": [-5, 2405]}, "negative run lengths"),
        ({"size": [40, 60], "counts": [1.5, 2398.5]}, "whole numbers"),
        ({"size": [60, 40], "counts": [2400]}, r"of size \[60, 40\]"),
    ],
)
def test_forms_of_masks(made, segmentation, message):
    def edit(data):
        data["annotations"][0]["segmentation"] = segmentation

    with pytest.raises(AnnotationError, match=f"annotation 1 of 0.png: .*{message}"):
        made(edit)
    assert sum(made(edit, on_error="skip").problems.values()) == 1


def test_the_layout_of_the_file_is_explained(tmp_path):
    path = tmp_path / "x.json"
    for data, message in [
        ({"images": [], "categories": [], "annotations": {}}, "'annotations', which is a dict there"),
        ({"images": [], "categories": []}, "needs a list 'annotations' and has only 'categories', 'images'"),
        ([], "and is a list"),
    ]:
        path.write_text(json.dumps(data))
        with pytest.raises(AnnotationError, match=message):
            CocoDataset(json_file=path)


def test_images_are_looked_for_by_many_names(tmp_path):
    data = odd.coco()
    path = odd.write(tmp_path, data)
    missing = [{**data["images"][0], "id": 100 + i, "file_name": f"gone{i}.png"} for i in range(300)]
    data["images"] = missing + data["images"]
    path.write_text(json.dumps(data))
    assert len(CocoDataset(json_file=path, on_error="skip")) == 3
    with pytest.raises(FileNotFoundError, match="300 of 303 images are not in"):
        CocoDataset(json_file=path)
    # A folder that holds one of the names only
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gone1.png").write_bytes(b"")
    assert CocoDataset(json_file=path, on_error="skip").image_root == str(tmp_path)


def test_an_empty_dataset_says_which_filter_left_nothing(made):
    def without(data):
        data["annotations"] = data["annotations"][:2]
        for annotation in data["annotations"]:
            annotation["iscrowd"] = 1

    with pytest.raises(AnnotationError) as error:
        build_detection_train_loader(
            dataset=FilteredDataset(dataset=made(without)),
            mapper=DatasetMapper(is_train=True),
            total_batch_size=1,
        )
    text = str(error.value)
    assert "none of the 3 images is left" in text
    assert "1 with crowd regions only (filter_empty), 2 without annotations (filter_empty)" in text
    assert "No image has an object to train on" in text
    assert error.value.remedy == {}


def test_filters_that_can_be_lifted_are_named():
    maps = DatasetFromList([{"sem_seg": np.zeros((4, 4), int), "height": 4, "width": 4, "image_id": 1}])
    box = {"category_id": 0, "bbox": [0, 0, 2, 2], "bbox_mode": BoxMode.XYWH_ABS}
    annotated = DatasetFromList([{"height": 4, "width": 4, "annotations": [box]}])
    for dataset, remedy in (
        (FilteredDataset(dataset=maps), {"dataset.filter_empty": "false"}),
        (FilteredDataset(dataset=annotated, min_keypoints=1), {"dataset.min_keypoints": "0"}),
        (FilteredDataset(dataset=annotated, keep=lambda r: False), {"dataset.keep": "null"}),
    ):
        with pytest.raises(AnnotationError) as error:
            build_detection_train_loader(dataset=dataset, mapper=None, total_batch_size=1)
        assert error.value.remedy == remedy


OWN = {
    "from 1": (
        lambda r: _each(r, "category_id", lambda v: v + 1),
        "category_id 2 is none of the 2 classes .*count from 0",
    ),
    "minus one": (lambda r: _each(r, "category_id", lambda v: -1), "category_id -1 is none of the 2 classes"),
    "flat box": (lambda r: _each(r, "bbox", lambda v: [*v[:2], 0, 5]), "no area"),
    "nan box": (lambda r: _each(r, "bbox", lambda v: [float("nan"), *v[1:]]), "finite"),
    "outside": (lambda r: _each(r, "bbox", lambda v: [900, 900, 5, 5]), "outside the image of 60x40"),
    "nan keypoints": (lambda r: _each(r, "keypoints", lambda v: [float("nan"), *v[1:]]), "finite"),
    "array masks": (
        lambda r: _each(r, "segmentation", lambda v: np.ones((40, 60), bool)),
        r"encode_mask\(mask\)",
    ),
    "keypoints": (lambda r: _each(r, "keypoints", lambda v: v[:6]), "it has 2 keypoints, its category 3"),
    "relative": (lambda r: _each(r, "bbox_mode", lambda v: BoxMode.XYWH_REL), "XYWH_REL is relative"),
}


def _each(records, key, change):
    for annotation in records[1]["annotations"]:
        annotation[key] = change(annotation[key])


@pytest.mark.parametrize("name", OWN)
def test_own_records_are_held_to_the_rules(name, caplog):
    edit, message = OWN[name]
    records = odd.records()
    edit(records)
    options = {"mapper": DatasetMapper(is_train=True), "total_batch_size": 3}
    for dataset in (odd.OwnDataset(records), DatasetFromList(records, metadata=odd.OwnDataset([]).metadata)):
        with pytest.raises(AnnotationError, match=rf"record 1, image_id 2: annotations\[.\]: .*{message}"):
            build_detection_train_loader(dataset=dataset, **options)
        with pytest.raises(AnnotationError, match=message):
            build_detection_test_loader(dataset=dataset, mapper=DatasetMapper(is_train=False))
    loader = build_detection_train_loader(dataset=dataset, on_error="skip", **options)
    ids = {sample["image_id"] for sample in next(iter(loader))}
    assert 2 not in ids
    assert "skipped record 1, image_id 2" in caplog.text


def test_forms_that_own_records_may_have():
    records = odd.records()
    for annotation in records[0]["annotations"]:
        annotation["bbox"] = np.asarray(annotation["bbox"])
        annotation["keypoints"] = np.asarray(annotation["keypoints"]).reshape(-1, 3)
        annotation["segmentation"] = [np.asarray(annotation["segmentation"][0])]
        annotation["category_id"] = np.int64(annotation["category_id"])
    x, y, w, h = records[1]["annotations"][0]["bbox"]
    records[1]["annotations"][0].update(bbox=(x, y, x + w, y + h), bbox_mode=0)
    mapper = DatasetMapper(is_train=True, use_instance_mask=True, use_keypoint=True)
    loader = build_detection_train_loader(dataset=odd.OwnDataset(records), mapper=mapper, total_batch_size=3)
    samples = next(iter(loader))
    boxes = [sample["instances"].gt_boxes.tensor.round().tolist() for sample in samples]
    assert boxes == [[[x, y, x + w, y + h] for x, y, w, h in odd.BOXES]] * 3


def test_image_ids_must_differ_in_an_evaluation():
    records = odd.records()
    mapper = DatasetMapper(is_train=False)
    twice = ConcatDataset(datasets=[odd.OwnDataset(records), odd.OwnDataset(records)])
    for on_error in ("raise", "skip"):
        with pytest.raises(
            AnnotationError, match=r"3 of 6 records.*\n.*record 3, image_id 1: .*another record"
        ):
            build_detection_test_loader(dataset=twice, mapper=mapper, on_error=on_error)
    assert len(build_detection_test_loader(dataset=twice, mapper=mapper, check=False)) == 6
    del records[0]["image_id"]
    with pytest.raises(AnnotationError, match="record 0: it has no image_id"):
        build_detection_test_loader(dataset=odd.OwnDataset(records), mapper=mapper)
    build_detection_train_loader(
        dataset=odd.OwnDataset(records), mapper=DatasetMapper(is_train=True), total_batch_size=1
    )


class Relabelled(CocoDataset):
    def __getitem__(self, index):
        record = super().__getitem__(index)
        for annotation in record["annotations"]:
            annotation["category_id"] += 1
        return record


def test_a_subclass_that_changes_records_is_checked(tmp_path):
    dataset = Relabelled(json_file=odd.write(tmp_path, odd.coco()))
    with pytest.raises(AnnotationError, match="category_id 2 is none of the 2 classes"):
        build_detection_train_loader(dataset=dataset, mapper=DatasetMapper(is_train=True), total_batch_size=1)


def test_what_a_dataset_has_checked_is_not_checked_again_by_those_made_of_it(monkeypatch):
    shapes = ShapesDataset(num_images=4)
    by_others = [
        ConcatDataset(datasets=[shapes, shapes]),
        SubsetDataset(dataset=shapes, indices=[0, 2]),
        PointsFromMasks(dataset=shapes),
    ]
    assert all(map(is_validated, by_others))
    # its points cost a mask for each object: nothing walks over all of its records
    monkeypatch.setattr(PointsFromMasks, "get_annotations", lambda self, index: pytest.fail("was read"))
    assert summarize(by_others[-1]).num_images == 4


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_skipped_images_leave_no_empty_batch(tmp_path, num_workers, batch_size):
    dataset = CocoDataset(json_file=odd.write(tmp_path, odd.coco()))
    (tmp_path / "0.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
    loader = build_detection_test_loader(
        dataset=dataset,
        mapper=DatasetMapper(is_train=False),
        batch_size=batch_size,
        on_error="skip",
        num_workers=num_workers,
        timeout=60,
    )
    batches = list(loader)
    assert [sample["image_id"] for batch in batches for sample in batch] == [2, 3]
    assert all(batches)
    assert loader.num_skipped == 1


def test_an_evaluation_of_masks_leaves_out_those_that_cannot_be_used(made, caplog):
    def edit(data):
        data["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]

    dataset = made(edit, on_error="skip")
    evaluator = COCOEvaluator(dataset=dataset, tasks=("bbox", "segm"))
    evaluator.reset()
    for index in range(3):
        instances = Instances((odd.HEIGHT, odd.WIDTH))
        corners = [[x, y, x + w, y + h] for x, y, w, h in odd.BOXES]
        keep = [1] if index == 0 else [0, 1]
        instances.pred_boxes = Boxes(torch.tensor(corners, dtype=torch.float32)[keep])
        masks = torch.zeros(2, odd.HEIGHT, odd.WIDTH, dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
            mask[y0:y1, x0:x1] = True
        instances.pred_masks = masks[keep]
        instances.scores = torch.tensor([0.9, 0.8])[keep]
        instances.pred_classes = torch.tensor([0, 1])[keep]
        evaluator.process([{"image_id": index + 1}], [{"instances": instances}])
    with caplog.at_level(logging.WARNING):
        results = evaluator.evaluate()
    assert results["segm"]["AP"] == pytest.approx(100)
    assert results["bbox"]["AP"] < 90
    assert "segm: 1 object(s) left out of the truth" in caplog.text
