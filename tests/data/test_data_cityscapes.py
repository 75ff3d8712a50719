"""Cityscapes: semantic, instance and panoptic segmentation from its files."""

import json

import numpy as np
import pytest
from cityscapes_files import NAMES, SIZE, write_cityscapes
from PIL import Image

from lazycfg.data import (
    AnnotationError,
    CityscapesInstances,
    CityscapesPanoptic,
    CityscapesSemSeg,
    DatasetMapper,
    ImageError,
)
from lazycfg.structures.rle import decode_rle
from lazycfg.utils.cityscapes import INSTANCE_LABELS, LABELS, TRAIN_LABELS, image_name


@pytest.fixture
def files(tmp_path):
    return write_cityscapes(tmp_path)


def sem_seg(files, **options):
    return CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir, **options)


def instances(files, **options):
    return CityscapesInstances(image_dir=files.image_dir, gt_dir=files.gt_dir, **options)


def panoptic(files, **options):
    return CityscapesPanoptic(
        panoptic_json=files.panoptic_json,
        panoptic_root=files.panoptic_root,
        image_dir=files.image_dir,
        gt_dir=files.gt_dir,
        **options,
    )


def test_labels():
    assert [label.id for label in LABELS] == list(range(34))
    assert [label.train_id for label in TRAIN_LABELS] == list(range(19))
    names = ["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]
    assert [label.name for label in INSTANCE_LABELS] == names
    assert len({label.category for label in LABELS}) == 8


def train_ids(ids):
    labels = np.where(ids >= 1000, ids // 1000, ids)
    table = np.array([255 if label.ignored else label.train_id for label in LABELS])
    return table[labels]


def test_sem_seg_of_label_ids(files):
    dataset = sem_seg(files, verify=True)
    assert [record["image_id"] for record in dataset] == list(NAMES)
    assert (len(dataset), dataset.num_classes, dataset.metadata.ignore_label) == (3, 19, 255)
    assert dataset.image_sizes.tolist() == [list(SIZE)] * 3
    for record in dataset:
        np.testing.assert_array_equal(record["sem_seg"], train_ids(files.instances[record["image_id"]]))
    assert "sem_seg" not in dataset.get_annotations(0)
    mapped = DatasetMapper(is_train=True)(dataset[0])
    np.testing.assert_array_equal(mapped["sem_seg"], dataset[0]["sem_seg"])


def test_sem_seg_of_train_ids(files):
    path = files.gt_dir / "ulm" / f"{NAMES[2]}_gtFine_labelTrainIds.png"
    Image.fromarray(train_ids(files.instances[NAMES[2]]).astype(np.uint8)).save(path)
    dataset = sem_seg(files, verify=True)
    assert dataset[2]["sem_seg_file_name"] == str(path)
    assert "sem_seg_file_name" not in dataset[1]
    Image.fromarray(np.full(SIZE, 19, dtype=np.uint8)).save(path)
    with pytest.raises(AnnotationError, match=r"labelTrainIds.png has the ids \[19\]"):
        sem_seg(files, verify=True)


def test_instances_of_the_map(files):
    dataset = instances(files, verify=True)
    labels = [label.id for label in INSTANCE_LABELS]
    for record in dataset:
        ids = files.instances[record["image_id"]]
        wanted = [i for i in np.unique(ids).tolist() if (i // 1000 if i >= 1000 else i) in labels]
        assert len(record["annotations"]) == len(wanted) > 0
        for number, annotation in zip(wanted, record["annotations"], strict=True):
            mask = ids == number
            np.testing.assert_array_equal(decode_rle(annotation["segmentation"]), mask)
            ys, xs = np.nonzero(mask)
            assert annotation["bbox"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert labels[annotation["category_id"]] == (number // 1000 if number >= 1000 else number)
            assert annotation["iscrowd"] == (number < 1000)
    assert dataset.summary.num_images == 3
    mapper = DatasetMapper(is_train=True, use_instance_mask=True, instance_mask_format="bitmask")
    mapped = mapper(dataset[0])["instances"]
    assert len(mapped) == sum(not a["iscrowd"] for a in dataset[0]["annotations"])


def test_panoptic(files):
    dataset = panoptic(files)
    assert dataset.num_classes == 19
    assert dataset.metadata.thing_dataset_id_to_contiguous_id == {
        label.id: label.train_id for label in INSTANCE_LABELS
    }
    for record in dataset:
        ids = files.instances[record["image_id"]]
        assert record["file_name"].endswith(f"{record['image_id']}_leftImg8bit.png")
        np.testing.assert_array_equal(record["sem_seg"], train_ids(ids))
        for segment in record["segments_info"]:
            assert segment["category_id"] == segment["label"] == train_ids(ids)[ids == segment["id"]][0]
            assert segment["isthing"] == (segment["category_id"] >= 11)
    assert "sem_seg" not in panoptic(files, sem_seg=False)[0]


def test_without_ground_truth(files):
    for make in (CityscapesSemSeg, CityscapesInstances):
        record = make(image_dir=files.image_dir, gt_dir=None)[0]
        assert set(record) == {"file_name", "image_id"}


@pytest.mark.parametrize("make", [sem_seg, instances])
def test_missing_and_wrong_files(files, make):
    kind = "labelIds" if make is sem_seg else "instanceIds"
    path = files.gt_dir / "ulm" / f"{NAMES[2]}_gtFine_{kind}.png"
    values = np.full((5, 7), 7, dtype=np.uint8)
    Image.fromarray(values).save(path)
    with pytest.raises(AnnotationError, match=rf"{NAMES[2]}.*is 7x5 \(width x height\), its image 64x48"):
        make(files)[2]
    with pytest.raises(AnnotationError, match=r"7x5.*on_error=\"skip\""):
        make(files, verify=True)
    skipped = make(files, verify=True, on_error="skip")
    assert len(skipped) == 2
    assert skipped.problems == {"image: wrong map": 1}

    Image.fromarray(np.full(SIZE, 77, dtype=np.uint8)).save(path)
    with pytest.raises(AnnotationError, match=r"has the ids \[77\]"):
        make(files)[2]
    path.write_bytes(b"no image")
    with pytest.raises(ImageError, match="cannot decode label map"):
        make(files)[2]
    path.unlink()
    with pytest.raises(AnnotationError, match=f"{NAMES[2]}_left.*: its ground truth is missing: .*png"):
        make(files)
    assert make(files, on_error="skip").problems == {"image: no ground truth": 1}


def test_names_and_folders(files):
    (files.image_dir / "ulm" / "photo.png").write_bytes(b"")
    with pytest.raises(AnnotationError, match=r"photo.png: the name of an image ends in _leftImg8bit.png"):
        sem_seg(files)
    assert len(sem_seg(files, on_error="skip")) == 3
    with pytest.raises(FileNotFoundError, match=r"no folder .*gtFine/tarin"):
        CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir.parent / "tarin")
    with pytest.raises(FileNotFoundError, match=r"no folder .*leftImg8bit/tarin"):
        CityscapesSemSeg(image_dir=files.image_dir.parent / "tarin", gt_dir=files.gt_dir)
    with pytest.raises(FileNotFoundError, match=r"no image in .* can be used .*_leftImg8bit.png in folders"):
        CityscapesInstances(image_dir=files.panoptic_root, gt_dir=files.gt_dir)
    with pytest.raises(ValueError, match=r"'a/b.png' is no image of Cityscapes"):
        image_name("a/b.png")


def test_panoptic_files_that_cannot_be_right(files):
    (files.image_dir / "ulm" / f"{NAMES[2]}_leftImg8bit.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"1 of 3 images are not in .*ulm/{NAMES[2]}_leftImg8bit"):
        panoptic(files)
    assert panoptic(files, on_error="skip").problems == {"annotation: the image is missing": 1}
    data = json.loads(files.panoptic_json.read_text())
    data["categories"][0]["id"] = 14
    files.panoptic_json.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match=r"panoptic_train.json: category .* is none of the 19"):
        panoptic(files)
