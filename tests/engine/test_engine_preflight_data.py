"""Data sets, mappers, samples and evaluators that do not fit the model, known before the first step."""

import math

import numpy as np
import pytest
import torch
from odd_runs import OwnDataset, job, outcome, refused, trained, write_data
from PIL import Image

from lazycfg import LazyCall as L
from lazycfg.data import CocoDataset, DatasetMapper, FilteredDataset
from lazycfg.data import transforms as T
from lazycfg.engine import HookBase
from lazycfg.evaluation import COCOEvaluator
from lazycfg.structures import Instances


def drop(key):
    def edit(record):
        record.pop(key)

    return edit


def change(**values):
    def edit(record):
        for annotation in record["annotations"]:
            annotation.update(values)

    return edit


def bool_masks(record):
    for annotation in record["annotations"]:
        mask = np.zeros((64, 64), bool)
        mask[8:20, 8:30] = True
        annotation["segmentation"] = mask


def from_one(record):
    for annotation in record["annotations"]:
        annotation["category_id"] += 1


OWN = {
    "no image_id": (drop("image_id"), ["image_id"]),
    "one image_id": (lambda record: record.update(image_id=7), ["image_id"]),
    "no height": (drop("height"), ["height"]),
    "category from 1": (
        lambda r: [a.update(category_id=a["category_id"] + 1) for a in r["annotations"]],
        ["2"],
    ),
    "category -1": (change(category_id=-1), ["category_id -1"]),
    "category text": (change(category_id="a"), ["category_id", "'a'"]),
    "no bbox": (lambda r: [a.pop("bbox") for a in r["annotations"]], ["bbox"]),
    "float counts": (
        change(segmentation={"size": [64, 64], "counts": [10.5, 20.0, 4065.5]}),
        ["counts"],
    ),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", OWN)
def test_own_data_sets(files, tmp_path, name, split):
    edit, words = OWN[name]
    cfg = job(tmp_path, *files, masks=name == "float counts")
    dataset = L(OwnDataset)(json_file=str(files[0]), edit=edit, split=split)
    if split == "train":
        cfg.dataloader.train.update(dataset=dataset, aspect_ratio_grouping=False)
    else:
        cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = dataset
    how, message = outcome(cfg)
    if how == "refused":
        assert all(word in message for word in words), message
    else:
        assert split == "train"
        assert name in ("no image_id", "one image_id", "no height")


@pytest.mark.parametrize("split", ["train", "test"])
def test_masks_as_arrays(files, tmp_path, split):
    cfg = job(tmp_path, *files, masks=True)
    dataset = L(OwnDataset)(json_file=str(files[0]), edit=bool_masks)
    if split == "train":
        cfg.dataloader.train.dataset = dataset
    else:
        cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = dataset
    how, message = outcome(cfg)
    if how == "refused":
        assert "segmentation" in message
        assert "truth value" not in message


@pytest.mark.parametrize("number", [0, 1])
def test_images_beyond_the_limit_are_told_and_both_remedies_work(files, tmp_path, number):
    large = write_data(tmp_path, "large", edit=lambda content: content["images"][1].update(width=65))
    Image.new("RGB", (65, 64)).save(tmp_path / "large1.png")
    cfg = job(tmp_path, large, files[1])
    cfg.dataloader.train.mapper.max_image_pixels = 64 * 64
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=cfg.dataloader.train.dataset)
    message = refused(cfg, "1 of 4 images have more than 4,096 pixels", "large1.png")
    trained(cfg, [[word for word in remedies(message) if "=" in word][number]])


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_cannot_be_read_is_named(tmp_path, split):
    train_json, test_json = (write_data(tmp_path, name) for name in ("train", "val"))
    broken = tmp_path / ("train3.png" if split == "train" else "val3.png")
    broken.write_bytes(broken.read_bytes()[:60])
    cfg = job(tmp_path, train_json, test_json)
    message = refused(cfg, broken.name)
    assert remedies(message) == [f"dataloader.{split}.on_error=skip"]
    if split == "train":
        trained(cfg, remedies(message))


class ShiftedClasses(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["instances"].gt_classes += 1
        return sample


class SmallPixels(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["image"] = sample["image"].float() / 255
        return sample


class BlackImages(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["image"] = torch.zeros_like(sample["image"], dtype=torch.float32)
        return sample


def test_black_images_are_no_images_of_another_scale(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = BlackImages
    trained(cfg)


def edited(edit):
    """A mapper whose samples are edited."""

    class Edited(DatasetMapper):
        def __call__(self, record, rng=None):
            sample = super().__call__(record, rng)
            result = edit(sample)
            return result if isinstance(result, tuple) else sample

    return Edited


def boxes(edit):
    return edited(lambda s: edit(s["instances"].gt_boxes.tensor))


def to_xywh(tensor):
    tensor[:, 2:] -= tensor[:, :2]


def other_image_size(sample):
    sample["instances"] = Instances((640, 640), **sample["instances"].get_fields())


def float_classes(sample):
    sample["instances"].gt_classes = sample["instances"].gt_classes.float()


ODD_SAMPLES = {
    "tuple": (edited(lambda s: (s, 1)), ["it gives a tuple, expected a dict with 'image'"]),
    "no image": (edited(lambda s: s.pop("image")), ["no 'image'", "(3, height, width)"]),
    "numpy": (edited(lambda s: s.update(image=s["image"].numpy())), ["an 'image' of type ndarray"]),
    "HWC": (edited(lambda s: s.update(image=s["image"].permute(1, 2, 0))), ["(64, 64, 3)", "(3, height"]),
    "other size": (edited(other_image_size), ["(640, 640) (height, width)", "of (64, 64)"]),
    "float classes": (edited(float_classes), ["torch.float32, expected int64"]),
    "XYWH": (boxes(to_xywh), ["its right or lower side before the other"]),
    "relative": (boxes(lambda b: b.div_(64)), ["fractions of 1, expected pixels"]),
    "infinite": (boxes(lambda b: b.fill_(math.inf)), ["they are not finite numbers"]),
    "elsewhere": (boxes(lambda b: b.add_(64)), ["outside of the image of (64, 64)"]),
}


@pytest.mark.parametrize("name", ODD_SAMPLES)
def test_odd_samples_are_told_once(files, tmp_path, name):
    mapper, words = ODD_SAMPLES[name]
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = mapper
    message = refused(cfg, "dataloader.train.mapper: ", *words)
    assert "problems" not in message


def test_detections_in_another_size(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.test.mapper._target_ = edited(lambda s: s.update(height=128))
    refused(cfg, "dataloader.test.mapper", "(128, 64)", "the record has (64, 64)")


def test_test_images_are_only_resized(files, tmp_path):
    cfg = job(tmp_path, *files)
    augmentations = [L(T.ResizeShortestEdge)(short_edge_length=48), L(T.RandomFlip)(prob=0.5)]
    cfg.dataloader.test.mapper.augmentations = augmentations
    message = refused(cfg, "dataloader.test.mapper.augmentations.1: RandomFlip moves")
    (remedy,) = remedies(message)
    trained(cfg, [remedy.strip("'")])
    for number, other in enumerate((L(T.FixedSizeCrop)(crop_size=(80, 80)), L(T.RandomRotation)(angle=[5]))):
        cfg = job(tmp_path / str(number), *files)
        cfg.dataloader.test.mapper.augmentations = [other]
        refused(cfg, "dataloader.test.mapper.augmentations.0")


class Misspelt(HookBase):
    def after_iteration(self):
        raise AssertionError


class HalfMisspelt(Misspelt):
    def before_train(self):
        pass

    def after_training(self):
        raise AssertionError


def test_methods_of_hooks_that_nothing_calls(files, tmp_path, caplog):
    cfg = job(tmp_path, *files)
    cfg.train.hooks = [L(Misspelt)()]
    refused(cfg, "train.hooks.0", "nothing calls Misspelt.after_iteration", "before_train, after_train")
    cfg.train.hooks = [L(HalfMisspelt)(), L(HookBase)()]
    trained(cfg)
    assert "nothing calls HalfMisspelt.after_training" in caplog.text
    assert "train.hooks.1: HookBase does nothing" in caplog.text


def test_remarks_on_the_test_data(files, tmp_path, caplog):
    nothing = write_data(tmp_path, "nothing", edit=lambda content: content.update(annotations=[]))
    trained(job(tmp_path / "nothing", files[0], nothing))
    assert "none of the 4 images of dataloader.test has an annotated object" in caplog.text

    def as_corners(record):
        for annotation in record["annotations"]:
            x, y, w, h = annotation["bbox"]
            annotation["bbox"] = [x, y, x + w, y + h]
            del annotation["segmentation"]

    cfg = job(tmp_path / "corners", *files)
    own = L(OwnDataset)(json_file=str(files[1]), edit=as_corners)
    cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = own
    trained(cfg)
    assert "dataloader.test.dataset: 4 of 8 boxes reach beyond their image if read as" in caplog.text


def test_remarks_on_what_teaches_nothing(files, tmp_path, caplog):
    cfg = job(tmp_path, files[0], files[0])
    cfg.optimizer.lr = 0.0
    trained(cfg)
    assert "the learning rate is 0 in every group" in caplog.text
    assert "dataloader.test reads the file of dataloader.train" in caplog.text


@pytest.mark.parametrize(
    ("mapper", "words"),
    [
        (ShiftedClasses, ["dataloader.train.mapper", "the class 2, expected 0 to 1", "train"]),
        (SmallPixels, ["dataloader.train.mapper", "images of 0 to", "0 to 255"]),
    ],
)
def test_what_a_mapper_of_the_user_gives(files, tmp_path, mapper, words):
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = mapper
    refused(cfg, *words)


def test_skipping_is_no_error(tmp_path):
    train_json, test_json = (write_data(tmp_path, name) for name in ("train", "val"))
    for name in ("train1.png", "val0.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    cfg = job(tmp_path, train_json, test_json)
    cfg.dataloader.train.on_error = cfg.dataloader.test.on_error = "skip"
    trained(cfg)


def test_keypoints_of_head_data_and_evaluation(files, tmp_path):
    five = job(tmp_path, *files, keypoints=5)
    refused(five, "dataloader.evaluator.kpt_oks_sigmas", "5 keypoints")
    five.dataloader.evaluator.kpt_oks_sigmas = [0.05] * 5
    assert "keypoints" in trained(five)
    six = job(tmp_path / "six", *files, keypoints=6)
    six.dataloader.train.mapper.keypoint_hflip_indices = list(range(5))
    refused(six, "model.roi_heads.keypoint_head.num_keypoints=5")
    five = job(tmp_path / "flips", *files, keypoints=5)
    five.dataloader.evaluator.kpt_oks_sigmas = [0.05] * 5
    for flips in ([0, 1, 2], [0, 0, 1, 2, 3], [1, 2, 0, 3, 4]):
        five.dataloader.train.mapper.keypoint_hflip_indices = flips
        refused(five, "dataloader.train.mapper.keypoint_hflip_indices")


def test_a_head_without_its_data(files, tmp_path):
    cfg = job(tmp_path, *files, masks=True)
    cfg.dataloader.train.mapper.use_instance_mask = False
    refused(cfg, "dataloader.train.mapper.use_instance_mask=true", "model.roi_heads.mask_head=None")
    cfg = job(tmp_path, *files, keypoints=5)
    cfg.dataloader.train.mapper.use_keypoint = False
    refused(cfg, "dataloader.train.mapper.use_keypoint=true")


def test_the_evaluator_has_the_data_of_the_test_loader(files, tmp_path):
    cfg = job(tmp_path, *files)
    other = write_data(tmp_path, "other", count=3)
    cfg.dataloader.test.dataset = L(CocoDataset)(json_file=str(other))
    refused(cfg, "dataloader.evaluator.dataset", "3", "&dataloader.test.dataset")
    cfg.dataloader.test.dataset = L(CocoDataset)(json_file=str(files[1]))  # the same again
    trained(cfg)


def test_no_images_are_left(files, tmp_path):
    nothing = write_data(tmp_path, "none", edit=lambda content: content.update(annotations=[]))
    cfg = job(tmp_path, nothing, files[1])
    refused(cfg, "dataloader.train")
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=cfg.dataloader.train.dataset)
    message = refused(cfg, "4 without annotations", "No image has an object to train on")
    assert "remedy" not in message  # with filter_empty=false the run would be refused, too


def _without(*keys):
    def edit(content):
        for annotation in content["annotations"]:
            for key in keys:
                annotation.pop(key, None)

    return edit


def remedies(message):
    """The overrides that the remedies of a message name."""
    return [
        o for line in message.splitlines() if "remedy: " in line for o in line.split("remedy: ")[1].split()
    ]


def test_the_remedy_of_a_filter_works(files, tmp_path):
    cfg = job(tmp_path, *files)
    source = cfg.dataloader.train.dataset
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=source, min_keypoints=100)
    message = refused(cfg, "with fewer than 100 visible keypoints")
    trained(cfg, remedies(message))


@pytest.mark.parametrize("head", [True, False])
def test_the_remedy_of_missing_masks_works(files, tmp_path, head):
    train_json = write_data(tmp_path, "boxes", edit=_without("segmentation"))
    cfg = job(tmp_path, train_json, train_json, masks=True)
    if not head:
        cfg.model.roi_heads.mask_head = None
    message = refused(cfg, "have no masks")
    expected = ["dataloader.train.mapper.use_instance_mask=false", "model.roi_heads.mask_head=null"]
    assert remedies(message) == expected[: 1 + head]
    trained(cfg, remedies(message))


def test_a_mapper_that_gives_nothing_is_named(files, tmp_path):
    def forgetful(record):
        DatasetMapper(is_train=True)(record)

    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper = forgetful
    refused(cfg, "forgetful returned None for 20 of them", "first: record", ".png")
    cfg = job(tmp_path / "test", *files)
    cfg.dataloader.test.mapper = forgetful
    refused(cfg, "forgetful returned None", "while mapping record 0")


class PlainEvaluator(COCOEvaluator):
    """Adds a number of its own, with the signature of `DatasetEvaluator`."""

    def evaluate(self):
        return {**super().evaluate(), "own": {"count": 1}}


class ForgetfulEvaluator(COCOEvaluator):
    def evaluate(self, img_ids=None):
        super().evaluate(img_ids)


def test_an_evaluator_that_returns_nothing(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator._target_ = ForgetfulEvaluator
    refused(cfg, "dataloader.evaluator: ForgetfulEvaluator.evaluate returned None")


def test_an_evaluator_whose_evaluate_takes_no_images(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator._target_ = PlainEvaluator
    cfg.train.best_metric = "own/count"
    assert trained(cfg)["own"] == {"count": 1}


def test_a_data_set_that_the_model_asks_is_named_where_it_is_read(files, tmp_path):
    def flat(content):
        content["annotations"][3]["bbox"][2] = 0

    bad = write_data(tmp_path, "bad", edit=flat)
    cfg = job(tmp_path, bad, bad)
    cfg.model.roi_heads.num_classes = L.attr(cfg.dataloader.train.dataset, "num_classes")
    message = refused(cfg, "bad1.png", "remedy: dataloader.train.dataset.on_error=skip")
    assert "_args_" not in message
