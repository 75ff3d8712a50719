from itertools import islice

import numpy as np
import pytest
import torch

from lazycfg.data import (
    AnnotationError,
    CocoDataset,
    DatasetMapper,
    InferenceSampler,
    MapDataset,
    ShapesDataset,
    TrainingSampler,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T

DATASET = ShapesDataset(num_images=11, image_size=(40, 56), seed=0)


def mapper(**options):
    return DatasetMapper(
        is_train=True,
        augmentations=[T.ResizeShortestEdge(short_edge_length=[30, 40]), T.RandomFlip()],
        use_instance_mask=True,
        **options,
    )


def loader(**options):
    return build_detection_train_loader(
        **{"dataset": DATASET, "mapper": mapper(), "total_batch_size": 2, "seed": 3, **options}
    )


def digest(batches):
    return [
        [
            (s["image_id"], s["image"].long().sum().item(), s["instances"].gt_boxes.tensor.tolist())
            for s in batch
        ]
        for batch in batches
    ]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_loader_goes_on_where_the_other_stopped(num_workers):
    whole = digest(islice(loader(), 16))
    first = loader(num_workers=num_workers)
    iterator = iter(first)
    seen = digest(islice(iterator, 9))
    state = first.state_dict()
    del iterator
    second = loader(num_workers=num_workers)
    second.load_state_dict(state)
    assert seen + digest(islice(second, 7)) == whole
    assert state["position"] == 9


def test_iterating_again_goes_on():
    one = loader()
    assert digest(islice(one, 3)) + digest(islice(one, 3)) == digest(islice(loader(), 6))
    one.set_start(0)
    assert digest(islice(one, 2)) == digest(islice(loader(), 2))


def test_processes_share_the_batches_of_one():
    whole = digest(islice(loader(total_batch_size=4), 6))
    parts = [digest(islice(loader(total_batch_size=4, rank=r, world_size=2), 6)) for r in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_the_same_picture_is_augmented_anew_each_time():
    samples = [s for batch in islice(loader(), 22) for s in batch if s["image_id"] == 1]
    assert len(samples) == 4
    assert len({s["image"].long().sum().item() for s in samples}) > 1


def test_a_changed_run_is_said_in_the_log(caplog):
    one = loader(total_batch_size=4)
    with caplog.at_level("WARNING"):
        one.load_state_dict({"position": 10, "seed": 3, "total_batch_size": 2, "num_images": 12})
    assert one.position == 5
    assert "total_batch_size was 2 and is now 4" in caplog.text
    assert "num_images was 12 and is now 11" in caplog.text


def test_loading_does_not_touch_global_generators():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(islice(loader(), 3))
    list(build_detection_test_loader(dataset=DATASET, mapper=DatasetMapper(is_train=False)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_batches_hold_one_orientation():
    records = [
        {
            "image": np.zeros((h, w, 3), dtype=np.uint8),
            "height": h,
            "width": w,
            "image_id": i,
            "annotations": [],
        }
        for i, (h, w) in enumerate([(4, 6), (6, 4)] * 10)
    ]
    plain = DatasetMapper(is_train=True)
    one = build_detection_train_loader(dataset=records, mapper=plain, total_batch_size=4, check=False)
    for batch in islice(one, 20):
        assert len({s["image"].shape for s in batch}) == 1
    mixed = build_detection_train_loader(
        dataset=records, mapper=plain, total_batch_size=4, check=False, aspect_ratio_grouping=False
    )
    assert any(len({s["image"].shape for s in batch}) == 2 for batch in islice(mixed, 20))


def test_a_sampler_of_ones_own():
    one = loader(sampler=TrainingSampler(size=5, shuffle=False), total_batch_size=5)
    assert [s["image_id"] for s in next(iter(one))] == [1, 2, 3, 4, 5]


def test_a_negative_number_of_workers_is_refused_at_once():
    with pytest.raises(ValueError, match="num_workers=-1: expected at least 0"):
        loader(num_workers=-1)


def test_datasets_in_a_list_are_joined():
    one = loader(dataset=[DATASET, DATASET])
    assert len(one.dataset) == 22
    assert one.metadata.thing_classes == DATASET.metadata.thing_classes
    with pytest.raises(TypeError, match="__len__"):
        loader(dataset=iter([]))


def test_annotations_are_checked_before_training(tmp_path):
    json_file, _ = ShapesDataset(num_images=2, image_size=32).export_coco(tmp_path)
    text = json_file.read_text().replace('"segmentation"', '"segmentatoin"')
    json_file.write_text(text)
    dataset = CocoDataset(json_file=json_file)
    with pytest.raises(ValueError, match=r"instances have no masks.*use_instance_mask to False"):
        loader(dataset=dataset)
    loader(dataset=dataset, check=False)
    boxes_only = build_detection_train_loader(
        dataset=dataset, mapper=DatasetMapper(is_train=True), total_batch_size=2
    )
    assert len(next(iter(boxes_only))) == 2


@pytest.fixture
def broken(tmp_path):
    """A dataset of six pictures of which the third is damaged."""
    json_file, images = ShapesDataset(num_images=6, image_size=32).export_coco(tmp_path)
    (images / "000002.png").write_bytes(b"damaged")
    return CocoDataset(json_file=json_file)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_picture_is_named(broken, num_workers):
    with pytest.raises(ValueError, match=r"cannot decode image .*000002\.png") as error:
        list(islice(loader(dataset=broken, num_workers=num_workers), 6))
    notes = "".join(getattr(error.value, "__notes__", [])) + str(error.value)
    assert "while mapping record 2, image_id 3" in notes


@pytest.mark.parametrize("num_workers", [0, 2])
def test_damaged_pictures_are_skipped_and_counted(broken, num_workers):
    one = loader(dataset=broken, num_workers=num_workers, on_error="skip")
    batches = digest(islice(one, 6))
    assert all(len(b) == 2 for b in batches)
    assert 3 not in {image_id for b in batches for image_id, *_ in b}
    assert one.num_skipped >= 2
    assert batches == digest(islice(loader(dataset=broken, on_error="skip"), 6))


def test_nothing_but_damaged_pictures_is_an_error(broken):
    def refuse(record):
        raise ValueError("no")

    one = MapDataset(dataset=broken, map_func=refuse, on_error="skip")
    with pytest.raises(AnnotationError, match="20 records in a row gave no sample: 20 could not"):
        one[0]
    with pytest.raises(ValueError, match="on_error"):
        MapDataset(dataset=broken, map_func=refuse, on_error="ignore")


def test_faults_of_a_mapper_are_never_skipped():
    def faulty(record):
        return record["nothing"]["here"]

    with pytest.raises(KeyError):
        MapDataset(dataset=DATASET, map_func=faulty, on_error="skip")[0]


def test_a_mapper_may_refuse_records_or_know_no_generator():
    one = MapDataset(dataset=DATASET, map_func=lambda r: r["image_id"] if r["image_id"] > 9 else None)
    assert {one[i] for i in range(11)} == {10, 11}
    assert MapDataset(dataset=DATASET, map_func=None)[3]["image_id"] == 4
    nothing = MapDataset(dataset=DATASET, map_func=lambda r: None)
    with pytest.raises(AnnotationError, match=r"returned None for 20 of them \(first: record 3, image_id 4"):
        nothing[3]
    tested = MapDataset(dataset=DATASET, map_func=lambda r: None, substitute=False)
    with pytest.raises(ValueError, match="returned None, and no other image"):
        tested[3]
    skipping = MapDataset(dataset=DATASET, map_func=lambda r: None, substitute=False, on_error="skip")
    assert skipping[3] is None
    assert skipping.num_skipped == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_test_loader_gives_everything_once(num_workers):
    one = build_detection_test_loader(
        dataset=DATASET, mapper=DatasetMapper(is_train=False), batch_size=3, num_workers=num_workers
    )
    batches = list(one)
    assert [len(b) for b in batches] == [3, 3, 3, 2]
    assert len(one) == 4
    assert [s["image_id"] for b in batches for s in b] == list(range(1, 12))
    assert one.dataset.metadata.name == "shapes"


def test_test_loader_shards_and_skips(broken):
    plain = DatasetMapper(is_train=False)
    shards = [
        [
            s["image_id"]
            for b in build_detection_test_loader(
                dataset=broken, mapper=plain, rank=r, world_size=2, on_error="skip", batch_size=2
            )
            for s in b
        ]
        for r in range(2)
    ]
    assert shards == [[1, 2], [4, 5, 6]]
    with pytest.raises(ValueError, match="000002"):
        list(build_detection_test_loader(dataset=broken, mapper=plain))
    some = build_detection_test_loader(dataset=broken, mapper=plain, sampler=InferenceSampler(size=2))
    assert len(some) == 2


def test_test_loader_groups_by_size():
    sizes = [(10, 20), (20, 10), (10, 19), (20, 11)]
    records = [
        {"image": np.zeros((h, w, 3), dtype=np.uint8), "height": h, "width": w, "image_id": i}
        for i, (h, w) in enumerate(sizes)
    ]
    one = build_detection_test_loader(
        dataset=records, mapper=DatasetMapper(is_train=False), batch_size=2, group_by_size=True
    )
    assert [[s["image_id"] for s in b] for b in one] == [[1, 3], [2, 0]]


def test_collate_function():
    one = build_detection_test_loader(
        dataset=DATASET,
        mapper=DatasetMapper(is_train=False),
        batch_size=2,
        collate_fn=lambda batch: torch.stack([s["image"] for s in batch]),
    )
    assert next(iter(one)).shape == (2, 3, 40, 56)
