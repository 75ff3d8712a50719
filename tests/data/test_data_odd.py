"""A dataset with one thing wrong gives a right batch, or an error of ours that names file and record."""

import logging

import numpy as np
import odd_datasets as odd
import pytest

from lazycfg.data import (
    AnnotationError,
    CocoDataset,
    DatasetMapper,
    FilteredDataset,
    ImageError,
    build_detection_test_loader,
    build_detection_train_loader,
    create_keypoint_hflip_indices,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation.coco_ground_truth import coco_ground_truth

OURS = (AnnotationError, ImageError, FileNotFoundError)


def batch(dataset, everything, **options):
    """The samples of one pass, by image_id."""
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.HFlipTransform(odd.WIDTH)],
        use_instance_mask=everything,
        use_keypoint=everything,
        keypoint_hflip_indices=create_keypoint_hflip_indices(dataset.metadata),
    )
    loader = build_detection_train_loader(
        dataset=dataset, mapper=mapper, total_batch_size=len(dataset), **options
    )
    return {_key(sample.get("image_id")): sample for sample in next(iter(loader))}


def _key(image_id):
    return image_id if isinstance(image_id, int) else repr(image_id)


def boxes(samples):
    return {i: s["instances"].gt_boxes.tensor.round().tolist() for i, s in samples.items()}


RIGHT = [[odd.WIDTH - x - w, y, odd.WIDTH - x, y + h] for x, y, w, h in odd.BOXES]
EDITS = dict(odd.edits())
RECORD_EDITS = dict(odd.record_edits())


def assert_right(samples, everything):
    """All objects that are given are right, and all but the first of the first image are there."""
    for image_id, found in boxes(samples).items():
        assert (
            found in (RIGHT, RIGHT[1:], RIGHT[:1], [])
            if image_id not in (2, 3)
            else found in (RIGHT, RIGHT[1:])
        ), found
        instances = samples[image_id]["instances"]
        assert instances.gt_classes.tolist() in ([0, 1], [1], [0], [])
        if everything:
            assert len(instances.gt_masks) == len(instances.gt_keypoints) == len(instances)
            assert np.isfinite(instances.gt_keypoints.tensor.numpy()).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.mark.parametrize("name", EDITS)
def test_coco_files(folder, name, caplog):
    caplog.set_level(logging.WARNING)
    data = odd.coco()
    EDITS[name](data)
    path = odd.write(folder, data)
    # An edit of one annotation: it alone is left out, or its mask or keypoints are.
    one_annotation = name.startswith("annotations ") and len(name.split()) > 2 and " entry " not in name
    for on_error in ("raise", "skip"):
        for everything in (False, True):
            try:
                dataset = CocoDataset(json_file=path, on_error=on_error)
                samples = batch(dataset, everything, on_error=on_error)
            except OURS as error:
                text = str(error)
                assert "data.json" in text or "dataset 'data'" in text or "0.png" in text, text
                assert "\x1b" not in text
                if on_error == "raise" and one_annotation:
                    assert "annotation 1" in text or "annotation 0" in text, text
                if on_error == "skip" and one_annotation:  # with everything, masks are missing, not wrong
                    assert everything, text
                    assert "1 of 6 instances have no" in text
                continue
            assert_right(samples, everything)
            if one_annotation:
                assert [boxes(samples)[i] for i in (2, 3)] == [RIGHT, RIGHT]
            assert all("\x1b" not in c for c in dataset.metadata.thing_classes)
            truth = coco_ground_truth(dataset)
            assert len(truth["images"]) == len(dataset)
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize("name", RECORD_EDITS)
def test_records_of_an_own_dataset(name):
    records = odd.records()
    RECORD_EDITS[name](records)
    for on_error in ("raise", "skip"):
        for everything, grouping in ((False, False), (True, False), (False, True)):
            dataset = odd.OwnDataset(records)
            try:
                if grouping:
                    dataset = FilteredDataset(dataset=dataset)
                samples = batch(dataset, everything, on_error=on_error, aspect_ratio_grouping=grouping)
                build_detection_test_loader(
                    dataset=dataset, mapper=DatasetMapper(is_train=False), on_error=on_error
                )
            except OURS as error:
                message = "\n".join([str(error), *getattr(error, "__notes__", ())])
                assert "record 0" in message or "image_id 1" in message, message
                continue
            assert_right(samples, everything)
