"""Semantic and panoptic segmentation."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.evaluation import COCOPanopticEvaluator, SemSegEvaluator
from lazycfg.structures.rle import decode_rle
from lazycfg.utils.segment_ids import rgb2id

METADATA = SimpleNamespace(
    stuff_classes=("sky", "road", "grass"), thing_classes=("cat", "dog"), ignore_label=255
)


class Data:
    def __init__(self, records):
        self.metadata = METADATA
        self.records = records

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return {"image_id": 100 + index, **self.records[index]}


def evaluate(evaluator, outputs):
    evaluator.reset()
    for index, output in enumerate(outputs):
        evaluator.process([{"image_id": 100 + index}], [output])
    return evaluator.evaluate()


def test_iou_and_accuracy_by_hand():
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])
    labels = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 2]])
    result = evaluate(SemSegEvaluator(dataset=Data([{"sem_seg": truth}])), [{"sem_seg": labels}])["sem_seg"]
    # sky: 3 of 4 found, one road pixel taken for it: 3 / 5; road: 2 of 3 found, one wrong: 2 / 4
    assert result["IoU-sky"] == pytest.approx(60)
    assert result["IoU-road"] == pytest.approx(50)
    assert math.isnan(result["IoU-grass"])
    assert result["mIoU"] == pytest.approx(55)
    assert result["fwIoU"] == pytest.approx((60 * 4 + 50 * 3) / 7)
    assert result["pACC"] == pytest.approx(100 * 5 / 7)
    assert result["mACC"] == pytest.approx((75 + 200 / 3) / 2)
    assert result["ACC-road"] == pytest.approx(200 / 3)


def test_a_class_without_truth_is_left_out_of_the_means():
    result = evaluate(
        SemSegEvaluator(dataset=Data([{"sem_seg": np.zeros((2, 2))}])),
        [{"sem_seg": torch.tensor([[0, 0], [0, 2]])}],
    )
    assert result["sem_seg"]["mIoU"] == pytest.approx(75)
    assert math.isnan(result["sem_seg"]["IoU-grass"])
    assert math.isnan(result["sem_seg"]["BoundaryIoU-grass"])


def boundary(mask, distance):
    """The pixels of a mask that some pixel outside of it, or of the image, is near to; one by one."""
    height, width = mask.shape
    padded = np.pad(mask, distance)
    return np.array(
        [
            [
                mask[y, x] and not padded[y : y + 2 * distance + 1, x : x + 2 * distance + 1].all()
                for x in range(width)
            ]
            for y in range(height)
        ]
    )


@pytest.mark.parametrize(("height", "width", "distance"), [(24, 40, 1), (3, 60, 1), (90, 120, 3), (1, 5, 1)])
def test_boundary_iou_as_the_paper_defines_it(height, width, distance):
    rng = np.random.default_rng(height)
    # Blocks, so that regions have an inside
    blocks = rng.integers(0, 3, (2, -(-height // 8), -(-width // 8)))
    truth, labels = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    truth = np.where(rng.random(truth.shape) < 0.02, 255, truth)
    result = evaluate(
        SemSegEvaluator(dataset=Data([{"sem_seg": truth}])), [{"sem_seg": torch.from_numpy(labels)}]
    )["sem_seg"]
    counts = truth != 255
    for index, name in enumerate(METADATA.stuff_classes):
        true = boundary(truth == index, distance) & counts
        found = boundary(labels == index, distance) & counts
        if not (truth == index).any():
            assert math.isnan(result[f"BoundaryIoU-{name}"])
            continue
        expected = 100 * (true & found).sum() / (true | found).sum()
        assert result[f"BoundaryIoU-{name}"] == pytest.approx(expected)
        assert result[f"min(IoU, B-Iou)-{name}"] == pytest.approx(min(expected, result[f"IoU-{name}"]))


def test_labels_that_are_no_class_are_refused_and_equal_names_kept_apart():
    data = Data([{"sem_seg": np.array([[0, 7]])}])
    with pytest.raises(ValueError, match="truth of image 100 has label 7; expected 0 to 2, or 255"):
        evaluate(SemSegEvaluator(dataset=data), [{"sem_seg": torch.zeros(1, 2)}])
    data = Data([{"sem_seg": np.array([[0, 1]])}])
    with pytest.raises(ValueError, match="prediction for image 100 has label -1"):
        evaluate(SemSegEvaluator(dataset=data), [{"sem_seg": torch.tensor([[0, -1]])}])
    data.metadata = SimpleNamespace(stuff_classes=("a", "a"), ignore_label=255)
    result = evaluate(SemSegEvaluator(dataset=data), [{"sem_seg": torch.tensor([[0, 0]])}])["sem_seg"]
    assert (result["IoU-a (class 0)"], result["IoU-a (class 1)"]) == (50, 0)


def test_scores_files_and_several_images(tmp_path):
    truth = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    Image.fromarray(truth).save(tmp_path / "x.png")
    scores = torch.nn.functional.one_hot(torch.tensor([[0, 1], [2, 0]]), 3).permute(2, 0, 1).float()
    data = Data([{"sem_seg_file_name": str(tmp_path / "x.png")}, {"sem_seg": torch.zeros(1, 1)}])
    result = evaluate(SemSegEvaluator(dataset=data), [{"sem_seg": scores}, {"sem_seg": torch.tensor([[1]])}])
    assert result["sem_seg"]["pACC"] == pytest.approx(75)
    assert result["sem_seg"]["mIoU"] == pytest.approx(100 * (1 / 2 + 1 / 2 + 1) / 3)


def test_mistakes_are_named():
    data = Data([{"sem_seg": np.zeros((2, 2))}, {"file_name": "x"}])
    with pytest.raises(ValueError, match=r"image 100.*\(3, 2\).*\(2, 2\)"):
        evaluate(SemSegEvaluator(dataset=data), [{"sem_seg": torch.zeros(3, 2)}])
    with pytest.raises(ValueError, match="image 101 has no 'sem_seg' or 'sem_seg_file_name'"):
        SemSegEvaluator(dataset=data).process([{"image_id": 101}], [{"sem_seg": torch.zeros(2, 2)}])
    with pytest.raises(KeyError, match="image_id 7 is not one of the dataset's 2"):
        SemSegEvaluator(dataset=data).process([{"image_id": 7}], [{"sem_seg": torch.zeros(2, 2)}])


def test_predictions_are_written_as_coco_takes_them(tmp_path):
    records = [{"sem_seg": np.zeros((4, 6))}, {"sem_seg": np.ones((4, 6))}]
    data = Data(records)
    data.metadata = SimpleNamespace(**vars(METADATA), stuff_dataset_id_to_contiguous_id={7: 0, 9: 1, 11: 2})
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 3, (4, 6)), np.zeros((4, 6), dtype=np.int64)]
    evaluator = SemSegEvaluator(dataset=data, output_dir=tmp_path / "out")
    outputs = [{"sem_seg": torch.from_numpy(labels)} for labels in found]
    evaluator.try_out([{"image_id": 100}], outputs[:1])
    assert not (tmp_path / "out").exists()
    evaluate(evaluator, outputs)
    entries = json.loads((tmp_path / "out/sem_seg_predictions.json").read_text())
    for image_id, labels in zip((100, 101), found, strict=True):
        own = [entry for entry in entries if entry["image_id"] == image_id]
        assert len(own) == len(np.unique(labels))
        for entry in own:
            label = {7: 0, 9: 1, 11: 2}[entry["category_id"]]
            assert np.array_equal(decode_rle(entry["segmentation"]), labels == label)


# -- panoptic: a picture of 10 x 10, sky above, road below, things on it


def true_segments():
    segments = np.zeros((10, 10), dtype=np.int64)
    segments[:5] = 1
    segments[5:] = 2
    segments[5:9, 0:4] = 30
    segments[5:9, 6:10] = 40
    return segments


TRUE_INFO = [
    {"id": 1, "isthing": False, "category_id": 0},
    {"id": 2, "isthing": False, "category_id": 1},
    {"id": 30, "isthing": True, "category_id": 0},
    {"id": 40, "isthing": True, "category_id": 1, "iscrowd": 0},
]


def quality(segments, info, true=None, true_info=TRUE_INFO):
    record = {"pan_seg": true_segments() if true is None else true, "segments_info": true_info}
    evaluator = COCOPanopticEvaluator(dataset=Data([record]))
    return evaluate(evaluator, [{"panoptic_seg": (torch.from_numpy(segments), info)}])["panoptic_seg"]


def test_the_truth_is_perfect_under_other_ids():
    segments = true_segments()
    segments[segments == 30] = 7
    info = [{**TRUE_INFO[2], "id": 7}, TRUE_INFO[0], TRUE_INFO[1], TRUE_INFO[3]]
    result = quality(segments, info)
    assert all(value == pytest.approx(100) for value in result.values())
    assert list(result) == [a + b for b in ("", "_th", "_st") for a in ("PQ", "SQ", "RQ")]


@pytest.mark.parametrize("lowest", [0, 1])
def test_panoptic_predictions_are_written_as_coco_takes_them(tmp_path, lowest):
    data = Data([{"pan_seg": true_segments(), "segments_info": TRUE_INFO}])
    ids = {
        "thing_dataset_id_to_contiguous_id": {17: 0, 18: 1},
        "stuff_dataset_id_to_contiguous_id": {90: 0, 91: 1},
    }
    data.metadata = SimpleNamespace(**vars(METADATA), **ids)
    numbers = {1: lowest, 2: 70_000, 30: 5, 40: 9}
    segments = np.vectorize(numbers.get)(true_segments())
    segments[0, 0] = 12  # not listed
    info = [{**each, "id": numbers[each["id"]]} for each in TRUE_INFO]
    evaluator = COCOPanopticEvaluator(dataset=data, output_dir=tmp_path / "out")
    outputs = [{"panoptic_seg": (torch.from_numpy(segments), [*info, {**info[0], "id": 77}])}]
    evaluator.try_out([{"image_id": 100}], outputs)
    assert not (tmp_path / "out").exists()
    evaluate(evaluator, outputs)
    (entry,) = json.loads((tmp_path / "out/predictions.json").read_text())["annotations"]
    assert entry["image_id"] == 100
    written = rgb2id(np.asarray(Image.open(tmp_path / "out/predictions" / entry["file_name"])))
    classes = {each["id"]: each["category_id"] for each in entry["segments_info"]}
    assert len(classes) == 4
    assert written[0, 0] == 0
    expected = {1: 90, 2: 91, 30: 17, 40: 18}
    for true, category in expected.items():
        (own,) = (number for number, each in classes.items() if each == category)
        assert np.array_equal(written == own, (true_segments() == true) & (segments != 12))


def test_quality_by_hand():
    segments = true_segments()
    segments[5:9, 3] = 2  # the cat loses a column of its four: IoU 12 / 16; the road gains 4: 18 / 22
    segments[5:9, 6:10] = 2  # the dog is taken for road: the road is 34 of which 18 are right
    info = TRUE_INFO[:3]
    result = quality(segments, info)
    assert result["PQ_th"] == pytest.approx(100 * (0.75 + 0) / 2)
    assert result["SQ_th"] == pytest.approx(100 * (0.75 + 0) / 2)
    assert result["RQ_th"] == pytest.approx(50)
    road = 18 / 38  # 18 right, 18 true, 38 found: no match, one missed and one wrong
    assert road < 0.5
    assert result["PQ_st"] == pytest.approx(100 * (1 + 0) / 2)
    assert result["PQ"] == pytest.approx(100 * (1 + 0 + 0.75 + 0) / 4)


def test_the_class_must_be_right():
    info = [*TRUE_INFO[:3], {**TRUE_INFO[3], "category_id": 0}]
    result = quality(true_segments(), info)
    # cat: one match, one wrong: 1 / 1.5; dog: missed
    assert result["PQ_th"] == pytest.approx(100 * (1 / 1.5 + 0) / 2)


def test_crowds_and_pixels_without_truth_excuse():
    crowd = [*TRUE_INFO[:3], {**TRUE_INFO[3], "iscrowd": 1}]
    segments = true_segments()
    segments[5:9, 8:10] = 50  # a dog in the crowd of dogs, and the rest of the crowd another
    info = [*TRUE_INFO, {"id": 50, "isthing": True, "category_id": 1}]
    assert quality(segments, info, true_info=crowd)["PQ"] == pytest.approx(100)

    true = true_segments()
    true[true == 40] = 0
    segments = true_segments()
    assert quality(segments, TRUE_INFO, true, TRUE_INFO[:3])["PQ"] == pytest.approx(100)
    # The cat reaching into the unknown loses nothing.
    true[5:9, 4:6] = 0
    segments[5:9, 4:6] = 30
    assert quality(segments, TRUE_INFO, true, TRUE_INFO[:3])["PQ_th"] == pytest.approx(100)


def test_nothing_found_and_nothing_there():
    nothing = np.zeros((10, 10), dtype=np.int64)
    assert quality(nothing, [])["PQ"] == 0
    assert math.isnan(quality(nothing, [], nothing, [])["PQ"])


def test_panoptic_truth_in_colours(tmp_path):
    segments = true_segments() * 300
    colors = np.stack([segments % 256, segments // 256 % 256, segments // 65536], axis=2).astype(np.uint8)
    Image.fromarray(colors).save(tmp_path / "x.png")
    info = [{**segment, "id": segment["id"] * 300} for segment in TRUE_INFO]
    data = Data([{"pan_seg_file_name": str(tmp_path / "x.png"), "segments_info": info}])
    output = {"panoptic_seg": (torch.from_numpy(true_segments()), TRUE_INFO)}
    assert evaluate(COCOPanopticEvaluator(dataset=data), [output])["panoptic_seg"]["PQ"] == pytest.approx(100)
