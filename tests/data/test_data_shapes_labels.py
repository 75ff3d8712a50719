"""Label maps of the generated shapes."""

import numpy as np
import pytest

from lazycfg.data import DatasetMapper, ShapesDataset
from lazycfg.evaluation import COCOPanopticEvaluator, SemSegEvaluator
from lazycfg.structures import polygons_to_bitmask


def shapes(label_maps):
    return ShapesDataset(num_images=6, image_size=(48, 64), num_objects=(2, 4), label_maps=label_maps)


def test_semantic_maps_tell_classes_apart():
    dataset = shapes("semantic")
    assert dataset.metadata.stuff_classes == ("ground", *dataset.classes)
    for record in dataset:
        expected = np.zeros((48, 64), np.uint8)
        for a in record["annotations"]:
            mask = polygons_to_bitmask([np.asarray(p) for p in a["segmentation"]], 48, 64)
            expected[mask] = a["category_id"] + 1
        assert (record["sem_seg"] == expected).mean() > 0.97  # outlines of what is half hidden are simplified


def test_panoptic_maps_tell_shapes_apart():
    dataset = shapes("panoptic")
    assert dataset.metadata.stuff_classes == ("things", "ground")
    for record in dataset:
        things = [s for s in record["segments_info"] if s["isthing"]]
        assert [s["category_id"] for s in things] == [a["category_id"] for a in record["annotations"]]
        for segment, a in zip(things, record["annotations"], strict=True):
            assert abs((record["pan_seg"] == segment["id"]).sum() - a["area"]) <= 0.1 * a["area"] + 4
        np.testing.assert_array_equal(record["sem_seg"] == 1, record["pan_seg"] == 1)


def test_labels_are_for_training_and_for_evaluators():
    dataset = shapes("panoptic")
    train, test = (DatasetMapper(is_train=is_train)(dataset[0]) for is_train in (True, False))
    assert train["sem_seg"].shape == (48, 64)
    assert not {"pan_seg", "sem_seg"} & set(test)
    assert "sem_seg" not in dataset.get_annotations(0)
    SemSegEvaluator(dataset=dataset)
    COCOPanopticEvaluator(dataset=dataset)
    assert "sem_seg" not in shapes("none")[0]
    with pytest.raises(ValueError, match="label_maps must be one of"):
        shapes("all")
