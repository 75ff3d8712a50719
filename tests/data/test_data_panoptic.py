"""Panoptic segmentation from files."""

import json

import numpy as np
import panoptic_files as files
import pytest
import torch
from PIL import Image

from lazycfg.data import (
    AnnotationError,
    CocoDataset,
    CocoPanopticDataset,
    DatasetMapper,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator, SemSegEvaluator
from lazycfg.structures import Boxes, Instances
from lazycfg.utils.segment_ids import id2rgb, rgb2id


@pytest.fixture
def paths(tmp_path):
    return files.write_panoptic(tmp_path)


def make(paths, **options):
    roots = {key: getattr(paths, key) for key in ("panoptic_json", "panoptic_root", "image_root")}
    return CocoPanopticDataset(**{**roots, **options})


def with_instances(paths, **options):
    instances = CocoDataset(json_file=paths.instances_json, image_root=paths.image_root)
    return make(paths, instances=instances, **options)


def rewrite(paths, change):
    change(paths.panoptic)
    paths.panoptic_json.write_text(json.dumps(paths.panoptic))


def test_things_share_a_label_and_stuff_follows(paths):
    dataset = with_instances(paths)
    metadata = dataset.metadata
    assert metadata.thing_classes == ("ball", "cat")  # in the order of the ids
    assert metadata.stuff_classes == ("things", "grass", "sky")
    assert metadata.stuff_colors == ((127, 127, 127), (1, 2, 3), (70, 80, 90))
    record = dataset[0]
    categories = {s["id"]: (s["isthing"], s["category_id"], s["iscrowd"]) for s in record["segments_info"]}
    assert categories == {
        files.SKY: (False, 2, 0),
        files.GRASS: (False, 1, 0),
        files.BALL: (True, 0, 0),
        files.CAT: (True, 1, 0),
        files.CROWD: (True, 1, 1),
    }
    expected = np.select(
        [files.segment_ids() == 0, files.segment_ids() == files.SKY, files.segment_ids() == files.GRASS],
        [255, 2, 1],
        0,
    )
    np.testing.assert_array_equal(record["sem_seg"], expected)
    assert [a["category_id"] for a in record["annotations"]] == [0, 1, 1]
    assert record["annotations"][0]["bbox"] == [5, 5, 6, 6]
    assert dataset.summary.num_instances == 4
    assert dataset.summary.num_crowd == 2
    assert "sem_seg" not in dataset.get_annotations(0)


def test_labels_of_all_classes(paths):
    dataset = make(paths, separated=False)
    assert dataset.metadata.stuff_classes == ("ball", "grass", "cat", "sky")
    record = dataset[1]
    by_id = {s["id"]: s["category_id"] for s in record["segments_info"]}
    assert by_id == {files.SKY: 3, files.GRASS: 1, files.BALL: 0, files.CAT: 1, files.CROWD: 1}
    assert record["sem_seg"][9, 20] == 2
    assert set(np.unique(record["sem_seg"]).tolist()) == {0, 1, 2, 3, 255}
    assert "annotations" not in record


def test_maps_made_before_are_read(paths, tmp_path):
    root = tmp_path / "stuff"
    root.mkdir()
    for name in ("001.png", "002.png"):
        Image.fromarray(np.full((20, 30), 2, np.uint8)).save(root / name)
    record = make(paths, sem_seg_root=root)[0]
    assert "sem_seg" not in record
    sample = DatasetMapper(is_train=True)(record)
    assert (sample["sem_seg"] == 2).all()


def test_training_batches(paths):
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.RandomFlip(prob=1.0)],
        use_instance_mask=True,
        instance_mask_format="bitmask",
    )
    loader = build_detection_train_loader(dataset=with_instances(paths), mapper=mapper, total_batch_size=2)
    for sample in next(iter(loader)):
        instances, labels = sample["instances"], sample["sem_seg"]
        assert labels.dtype == torch.int64
        assert instances.gt_classes.tolist() == [0, 1]
        # the things of the map lie where the masks are, both mirrored
        assert (labels[instances.gt_masks.tensor.any(0)] == 0).all()
        assert (labels[:, -2:] == 255).all()


def test_semantic_training_needs_no_instances(paths):
    loader = build_detection_train_loader(
        dataset=make(paths), mapper=DatasetMapper(is_train=True), total_batch_size=2
    )
    batch = next(iter(loader))
    assert all("instances" not in sample and sample["sem_seg"].max() == 255 for sample in batch)


def test_evaluators_take_the_records(paths):
    dataset = with_instances(paths)
    sample = DatasetMapper(is_train=False)(dataset[0])
    assert "sem_seg" not in sample
    ids = torch.from_numpy(files.segment_ids().astype(np.int32))
    info = [s for s in dataset[0]["segments_info"] if not s["iscrowd"]]
    found = Instances((20, 30))
    found.pred_boxes = Boxes(torch.tensor([[5.0, 5, 11, 11], [15, 8, 23, 16]]))
    found.scores, found.pred_classes = torch.tensor([0.9, 0.8]), torch.tensor([0, 1])
    output = {
        "instances": found,
        "sem_seg": torch.from_numpy(dataset[0]["sem_seg"].astype(np.int64)).clamp(max=2),
        "panoptic_seg": (ids, info),
    }
    results = {}
    for kind in (COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator):
        evaluator = kind(dataset=dataset, distributed=False)
        evaluator.process([sample, {"image_id": 2}], [output, output])
        results.update(evaluator.evaluate())
    assert results["bbox"]["AP"] == pytest.approx(100)
    assert results["sem_seg"]["mIoU"] == pytest.approx(100)
    assert results["panoptic_seg"]["PQ"] == pytest.approx(100)


def test_colours_are_ids():
    ids = np.array([[0, 255, 256], [65_535, 65_536, 2**24 - 1]])
    np.testing.assert_array_equal(rgb2id(id2rgb(ids)), ids)


def lose_a_picture(paths):
    (paths.image_root / "001.jpg").unlink()


def lose_a_map(paths):
    (paths.panoptic_root / "001.png").unlink()


def unknown_category(paths):
    rewrite(paths, lambda data: data["annotations"][0].update(segments_info=[{"id": 1, "category_id": 6}]))


def doubled_segment(paths):
    rewrite(paths, lambda data: data["annotations"][0].update(segments_info=files.SEGMENTS[:1] * 2))


def unknown_picture(paths):
    rewrite(paths, lambda data: data["annotations"][0].update(image_id=77))


def picture_without_instances(paths):
    rewrite(paths, lambda data: data["images"][0].update(id=55) or data["annotations"][0].update(image_id=55))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_a_picture, r"1 of 2 pictures are not in .*001\.jpg"),
        (lose_a_map, r"1 of 2 panoptic maps are not in .*001\.png"),
        (unknown_category, r"001\.png\): category_id 6 is not among"),
        (doubled_segment, "two segments have the same id"),
        (unknown_picture, "image_id 77 is not among the file's images"),
        (picture_without_instances, "image_id 55 is not in the dataset of instances"),
    ],
)
def test_what_cannot_be_right_is_named_or_skipped(paths, spoil, message):
    instances = CocoDataset(json_file=paths.instances_json, image_root=paths.image_root)
    spoil(paths)
    with pytest.raises((AnnotationError, FileNotFoundError), match=message):
        make(paths, instances=instances)
    dataset = make(paths, instances=instances, on_error="skip")
    assert [record["image_id"] for record in dataset] == [2]
    assert sum(dataset.problems.values()) == 1


def test_files_that_do_not_fit_each_other(paths, tmp_path):
    rewrite(paths, lambda data: data["categories"][0].update(id=8))
    with pytest.raises(AnnotationError, match=r"category ids \[7, 8\] are in one of them only"):
        with_instances(paths)
    with pytest.raises(AnnotationError, match="needs 'isthing'"):
        make(paths, panoptic_json=paths.instances_json)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        make(paths, panoptic_root=tmp_path / "nowhere")


def test_a_map_of_another_size(paths):
    Image.fromarray(np.zeros((20, 29, 3), np.uint8)).save(paths.panoptic_root / "001.png")
    with pytest.raises(AnnotationError, match=r"001\.png is 29x20 .* its image 30x20"):
        make(paths)[0]
