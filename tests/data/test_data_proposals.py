"""Proposals from files: read without risk, carried by datasets, used in place of a proposal generator."""

import pickle
import sys
import types
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
import torch

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate, model_zoo
from lazycfg.data import (
    DatasetFromList,
    DatasetMapper,
    FilteredDataset,
    Metadata,
    ProposalsDataset,
    build_detection_test_loader,
    get_detection_dataset_dicts,
    load_proposals_into_dataset,
)
from lazycfg.data import transforms as T
from lazycfg.data.datasets import read_proposals
from lazycfg.engine import evaluate, train
from lazycfg.evaluation import COCOEvaluator
from lazycfg.structures import Boxes, BoxMode, Instances
from lazycfg.utils import UnsafeFileError

BOXES = [np.array([[0, 0, 10, 10], [20, 10, 60, 50]], np.float32), np.zeros((0, 4), np.float32)]
LOGITS = [np.array([-1.0, 2.0], np.float32), np.zeros(0, np.float32)]
TINY = Path(__file__).parents[1] / "engine" / "tiny_mask_rcnn.py"
CONTENT = {"boxes": BOXES, "objectness_logits": LOGITS, "ids": [7, "b"], "bbox_mode": 0}
RECORDS = [
    {"image": np.zeros((60, 80, 3), np.uint8), "height": 60, "width": 80, "image_id": i, "annotations": []}
    for i in ("b", 7)
]


@pytest.fixture
def file(tmp_path):
    def write(content=CONTENT, protocol=4, **changes):
        path = tmp_path / "proposals.pkl"
        path.write_bytes(pickle.dumps({**content, **changes}, protocol=protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 4])
def test_records_get_their_proposals_best_first(file, protocol):
    dataset = load_proposals_into_dataset(DatasetFromList(RECORDS), file(protocol=protocol))
    assert isinstance(dataset, ProposalsDataset)
    first, second = dataset[0], dataset[-1]
    assert first["proposal_boxes"].shape == (0, 4)
    assert first["proposal_objectness_logits"].shape == (0,)
    np.testing.assert_array_equal(second["proposal_boxes"], BOXES[0][::-1])
    assert second["proposal_objectness_logits"].tolist() == [2.0, -1.0]
    assert second["proposal_bbox_mode"] is BoxMode.XYXY_ABS
    assert second["image"] is not None
    assert "proposal_boxes" not in dataset.get_annotations(1)
    assert dataset.image_sizes.tolist() == [[60, 80], [60, 80]]
    with pytest.raises(IndexError):
        dataset[2]


def test_names_of_detectron(file):
    old = {"boxes": BOXES, "scores": LOGITS, "indexes": np.array([7, 8])}
    boxes, logits, ids, mode = read_proposals(file(old))
    assert ids == ["7", "8"]
    assert mode is BoxMode.XYXY_ABS
    assert [len(x) for x in boxes] == [len(x) for x in logits] == [2, 0]


def test_a_box_mode_may_be_a_member_of_the_enumeration(file, monkeypatch):
    module = types.ModuleType("detectron2.structures.boxes")
    mode = IntEnum("BoxMode", {"XYWH_ABS": 1}, module="detectron2.structures.boxes")
    mode.__reduce_ex__ = lambda self, protocol: (type(self), (self.value,))
    module.BoxMode = mode
    for name in ("detectron2", "detectron2.structures"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = file(bbox_mode=mode.XYWH_ABS)
    monkeypatch.undo()
    assert read_proposals(path)[3] is BoxMode.XYWH_ABS
    record = ProposalsDataset(dataset=DatasetFromList(RECORDS), proposal_file=path)[1]
    mapped = DatasetMapper(is_train=False, precomputed_proposal_topk=5)(record)
    assert mapped["proposals"].proposal_boxes.tensor[0].tolist() == [20, 10, 80, 60]


def test_proposals_follow_the_augmentations_and_are_cut_to_the_best(file):
    record = ProposalsDataset(dataset=DatasetFromList(RECORDS), proposal_file=file())[1]
    augmentations = [T.ResizeTransform(60, 80, 120, 160), T.HFlipTransform(160)]
    for topk in (1, 2):
        mapper = DatasetMapper(is_train=True, augmentations=augmentations, precomputed_proposal_topk=topk)
        proposals = mapper(record)["proposals"]
        assert proposals.image_size == (120, 160)
        expected = [[40.0, 20, 120, 100], [140, 0, 160, 20]][:topk]
        assert proposals.proposal_boxes.tensor.tolist() == expected
        assert proposals.objectness_logits.tolist() == [2.0, -1.0][:topk]
    cropped = DatasetMapper(
        is_train=True, augmentations=[T.CropTransform(0, 0, 30, 60)], precomputed_proposal_topk=1
    )(record)["proposals"]
    assert cropped.proposal_boxes.tensor.tolist() == [[20, 10, 30, 50]]
    beside = DatasetMapper(
        is_train=True, augmentations=[T.CropTransform(0, 0, 15, 60)], precomputed_proposal_topk=1
    )(record)["proposals"]
    assert beside.objectness_logits.tolist() == [-1.0]  # the best one has left the picture


def test_images_that_are_not_in_the_file_are_named(file):
    records = [*RECORDS, {**RECORDS[0], "image_id": 4711, "file_name": "far.jpg"}]
    with pytest.raises(ValueError, match=r"1 of 3 images .*image_id 4711, file far\.jpg"):
        ProposalsDataset(dataset=DatasetFromList(records), proposal_file=file())


def test_several_datasets_and_their_files(file, tmp_path):
    one = DatasetFromList(RECORDS[:1])
    joined = get_detection_dataset_dicts(
        [one, DatasetFromList(RECORDS[1:])], filter_empty=False, proposal_files=[file(), file()]
    )
    assert [len(joined[i]["proposal_boxes"]) for i in range(2)] == [0, 2]
    with pytest.raises(ValueError, match="1 proposal_files for 2 datasets"):
        get_detection_dataset_dicts([one, one], proposal_files=[file()])


class Harm:
    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"ids": [7]}, ValueError, "1 ids, 2 entries of boxes and 2 of scores"),
        ({"ids": [7, 7]}, ValueError, "image_id 7 more than once"),
        ({"bbox_mode": 9}, ValueError, r"bbox_mode is 9, expected one of 0 \(XYXY_ABS\)"),
        (
            {"objectness_logits": [LOGITS[0][:1], LOGITS[1]]},
            ValueError,
            "image_id 7: 1 scores and boxes of shape",
        ),
        ({"boxes": [np.zeros((2, 5)), BOXES[1]]}, ValueError, r"shape \(2, 5\), expected \(2, 4\)"),
        ({"boxes": [["a", "b"], BOXES[1]]}, ValueError, "image_id 7: boxes are not numbers"),
        ({"boxes": Harm()}, UnsafeFileError, r"print.*nothing of it was executed"),
    ],
)
def test_bad_files(file, capsys, changes, error, words):
    with pytest.raises(error, match=words):
        read_proposals(file(**changes))
    assert "harm" not in capsys.readouterr().out


def test_files_that_are_none(tmp_path, file):
    with pytest.raises(FileNotFoundError, match="no file of proposals"):
        read_proposals(tmp_path / "nowhere.pkl")
    path = file()
    with pytest.raises(ValueError, match="no 'ids'"):
        read_proposals(file({"boxes": [], "objectness_logits": []}))
    path.write_bytes(b"not a pickle")
    with pytest.raises(ValueError, match="is not a file of proposals"):
        read_proposals(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="holds a list"):
        read_proposals(path)


def fast_rcnn(folder):
    cfg = LazyConfig.load(TINY)
    for name in ("mask_in_features", "mask_pooler", "mask_head"):
        del cfg.model.roi_heads[name]
    cfg.model.proposal_generator = None
    cfg.dataloader.train.mapper.update(use_instance_mask=False, precomputed_proposal_topk=60)
    cfg.dataloader.test.mapper.precomputed_proposal_topk = 40
    for part in ("train", "test"):
        cfg.dataloader[part].dataset = L(ProposalsDataset)(
            dataset=cfg.dataloader[part].dataset, proposal_file=str(folder / f"{part}.pkl")
        )
    cfg.train.update(output_dir=str(folder / "out"), max_iter=60, pictures=1)
    return cfg


def write_noisy_boxes(dataset, path, rng):
    """Proposals as a poor proposal generator would give them: near the objects, and anywhere."""
    boxes, logits, ids = [], [], []
    for i in range(len(dataset)):
        record = dataset.get_annotations(i)
        truth = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in record["annotations"]]
        near = np.repeat(truth, 12, axis=0) + rng.normal(0, 4, (12 * len(truth), 4))
        corner = rng.random((20, 2)) * 40
        far = np.concatenate((corner, corner + 6 + rng.random((20, 2)) * 30), axis=1)
        boxes.append(np.concatenate((near, far)).clip(0, 64).astype(np.float32))
        logits.append(rng.random(len(boxes[-1])).astype(np.float32))
        ids.append(record["image_id"])
    path.write_bytes(pickle.dumps({"boxes": boxes, "objectness_logits": logits, "ids": ids, "bbox_mode": 0}))


def test_fast_rcnn_learns_and_is_evaluated(tmp_path):
    cfg = fast_rcnn(tmp_path)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        write_noisy_boxes(instantiate(cfg.dataloader[part].dataset.dataset), tmp_path / f"{part}.pkl", rng)
    results = train(cfg)
    assert results["train"]["loss_cls"] < 1.0
    assert results["bbox"]["AP50"] > 20
    again = evaluate(cfg, resume=True)
    assert again["bbox"]["AP50"] == pytest.approx(results["bbox"]["AP50"])

    cfg.dataloader.test.mapper.precomputed_proposal_topk = None
    with pytest.raises(ValueError, match="precomputed_proposal_topk"):
        evaluate(cfg, resume=True)


def test_what_the_evaluator_writes_can_be_read(tmp_path):
    annotations = [{"bbox": [1, 2, 9, 9], "bbox_mode": 0, "category_id": 0}]
    records = [{**record, "annotations": annotations} for record in RECORDS]
    dataset = DatasetFromList(records, metadata=Metadata(thing_classes=("thing",)))
    evaluator = COCOEvaluator(dataset=dataset, output_dir=tmp_path)
    evaluator.reset()
    proposals = Instances((60, 80), proposal_boxes=Boxes(torch.tensor(BOXES[0])))
    proposals.objectness_logits = torch.tensor(LOGITS[0])
    evaluator.process(RECORDS, [{"proposals": proposals}, {"proposals": proposals[[]]}])
    evaluator.evaluate()
    found = ProposalsDataset(dataset=dataset, proposal_file=tmp_path / "box_proposals.pkl")
    np.testing.assert_array_equal(found[0]["proposal_boxes"], BOXES[0][::-1])
    assert len(found[1]["proposal_boxes"]) == 0


def test_the_zoo_has_fast_rcnn():
    cfg = model_zoo.get_config("COCO-Detection/fast_rcnn_R_50_FPN_1x.py")
    assert cfg.model.proposal_generator is None
    assert cfg.dataloader.train.dataset.dataset._target_ is FilteredDataset
    assert cfg.dataloader.evaluator.dataset is cfg.dataloader.test.dataset
    assert cfg.dataloader.test.mapper.precomputed_proposal_topk == 1000


def test_loaders_bring_proposals_to_the_model(file):
    dataset = ProposalsDataset(dataset=DatasetFromList(RECORDS), proposal_file=file())
    loader = build_detection_test_loader(
        dataset=dataset,
        mapper=DatasetMapper(is_train=False, precomputed_proposal_topk=9),
        batch_size=2,
        num_workers=2,
    )
    (batch,) = loader
    assert sorted(len(x["proposals"]) for x in batch) == [0, 2]
