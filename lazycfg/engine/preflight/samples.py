"""What mappers give against what a model takes: channel order, masks, keypoints; and the evaluator's data."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn

from lazycfg.config.tree.node import Node
from lazycfg.data import DatasetMapper, SubsetDataset, get_annotations, summarize
from lazycfg.data.datasets.base import describe, is_validated
from lazycfg.data.datasets.coco_keypoints import COCO_PERSON_KEYPOINT_OKS_SIGMAS
from lazycfg.data.transforms import AugInput, AugmentationList, RandomFlip
from lazycfg.evaluation import COCOEvaluator
from lazycfg.utils import printable

from .findings import Findings
from .looking import evaluators_of, mapper_of, metadata_of, needs_of, records_of, stored

__all__ = [
    "check_evaluated_data",
    "check_formats",
    "check_image_sizes",
    "check_sigmas",
    "check_test_augmentations",
    "check_training_mapper",
    "remark_on_same_data",
    "remark_on_test_data",
]

_MAX_DETECTIONS = 100  # of COCO's evaluation


def check_formats(model: nn.Module, loaders: Mapping[str, Any], found: Findings) -> None:
    """Compare the channel order that a model takes with that which each mapper gives.

    Args:
        model: its parts are asked.
        loaders: "train" and "test", those that there are.
        found: takes in what is wrong.
    """
    needs = {path: need.input_format for path, need in needs_of(model) if need.input_format is not None}
    given = {}
    for split, loader in loaders.items():
        mapper = mapper_of(loader)
        if isinstance(mapper, DatasetMapper):
            given[split] = mapper.image_format
        else:
            found.unjudged(f"channel order of dataloader.{split}: its mapper is no DatasetMapper")
    if not needs:
        found.unjudged(f"channel order of {type(model).__name__}: no part of it has an input_format")
    wanted = next(iter(needs.values()), given.get("train"))
    path = next(iter(needs), "")
    said = f"{path}.input_format" if path else "dataloader.train.mapper.image_format"
    for split, image_format in given.items():
        if image_format != wanted and wanted is not None:
            found.add(
                f"dataloader.{split}.mapper.image_format",
                f"images are given as {image_format}, and {said} is {wanted}",
                f"dataloader.{split}.mapper.image_format={wanted}"
                + (
                    f" (or {said}={image_format}, with pixel_mean and pixel_std of that order)"
                    if path
                    else ""
                ),
            )


def check_image_sizes(loaders: Mapping[str, Any], found: Findings) -> None:
    """Compare the sizes of all images, as far as they are known, with the limit of each mapper."""
    for split, loader in loaders.items():
        mapper, sizes = mapper_of(loader), _known_sizes(records_of(loader))
        if not isinstance(mapper, DatasetMapper) or sizes is None or not len(sizes):
            continue
        pixels = np.asarray(sizes, dtype=np.int64).prod(axis=1)
        count, largest = int((pixels > mapper.max_image_pixels).sum()), int(pixels.argmax())
        record = get_annotations(records_of(loader), largest)
        if not count or "file_name" not in record:  # images that are generated are not read
            continue
        path, most = f"dataloader.{split}.mapper.max_image_pixels", int(pixels[largest])
        said = (
            f"{count} of {len(pixels)} images have more than {mapper.max_image_pixels:,} pixels, the largest "
            f"is {describe(record, largest)} with {most:,}"
        )
        if loader.dataset.on_error == "skip":
            found.remark(f"{path}: {said}; they are skipped")
            continue
        memory = f"about {7 * most / 2**30:.1f} GiB for each process that reads"
        found.add(path, said, f"{path}={most} ({memory}), or dataloader.{split}.on_error=skip")


def check_test_augmentations(loader: Any, found: Findings) -> None:
    """See whether the augmentations of a test loader do anything but resize images.

    Detections are scaled back to the size of the original image; what was mirrored, cropped or padded would
    be compared with ground truth elsewhere.
    """
    mapper, records = mapper_of(loader), records_of(loader)
    if not isinstance(mapper, DatasetMapper) or not len(records):
        return
    record = get_annotations(records, 0)
    size = (record.get("height") or 480, record.get("width") or 640)
    factor = max(1, round((size[0] * size[1] / 2**20) ** 0.5))  # a smaller image does as well
    image = torch.zeros(3, *(max(1, int(side) // factor) for side in size), dtype=torch.uint8)
    wrong = set()
    for seed in range(8):
        rng, aug_input = np.random.default_rng(seed), AugInput(image, boxes=np.zeros((0, 4)))
        for number, augmentation in enumerate(mapper.augmentations.augs):
            height, width = aug_input.image_size
            transform = AugmentationList([augmentation])(aug_input, rng)
            corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
            scale = np.array(aug_input.image_size[::-1]) / (width, height)
            if np.abs(transform.apply_coords(corners.copy()) - corners * scale).max() > 1:
                wrong.add(number)
    for number in sorted(wrong):
        path = f"dataloader.test.mapper.augmentations.{number}"
        name = type(mapper.augmentations.augs[number]).__name__
        found.add(
            path,
            f"{name} moves what is in a test image, and detections are only scaled back: they would be "
            "compared with ground truth elsewhere",
            f"'~{path}'",
        )


def remark_on_same_data(train: Any, test: Any, found: Findings) -> None:
    """Remark on test data that is the training data."""
    one, other = (getattr(metadata_of(loader), "json_file", None) for loader in (train, test))
    if one is not None and one == other:
        found.remark(
            f"dataloader.test reads the file of dataloader.train, {printable(one)}: its results tell how "
            "well the training data was learned, not what other images would give"
        )


def _known_sizes(dataset: Any) -> Any:
    """Return the sizes (N, 2) that a data set holds; None where images would have to be opened for them."""
    if isinstance(dataset, SubsetDataset):
        sizes = _known_sizes(dataset.dataset)
        return None if sizes is None else np.asarray(sizes)[dataset.indices]
    return None if dataset is None else getattr(dataset, "__dict__", {}).get("image_sizes")


def check_training_mapper(cfg: Node, model: nn.Module, loader: Any, found: Findings) -> None:
    """Compare masks and keypoints of the training samples with what the heads of a model are trained on."""
    needs = list(needs_of(model))
    masks = [path for path, need in needs if need.masks]
    keypoints = {path: need.keypoints for path, need in needs if need.keypoints is not None}
    mapper = mapper_of(loader)
    if not isinstance(mapper, DatasetMapper):
        if masks or keypoints:
            found.unjudged("masks and keypoints of dataloader.train: its mapper is no DatasetMapper")
        return
    if masks and not mapper.use_instance_mask:
        found.add(
            "dataloader.train.mapper.use_instance_mask",
            f"it is false, and {masks[0]} is trained on masks",
            f"dataloader.train.mapper.use_instance_mask=true, or without the head: {masks[0]}=None",
        )
    if keypoints and not mapper.use_keypoint:
        path = next(iter(keypoints))
        found.add(
            "dataloader.train.mapper.use_keypoint",
            f"it is false, and {path} is trained on keypoints",
            f"dataloader.train.mapper.use_keypoint=true, or without the head: {path}=None",
        )
    if mapper.use_keypoint:
        _check_keypoints(cfg, keypoints, mapper, loader, found)


def _check_keypoints(
    cfg: Node, heads: Mapping[str, int], mapper: DatasetMapper, loader: Any, found: Findings
) -> None:
    count = len(getattr(metadata_of(loader), "keypoint_names", None) or ())
    if not count:
        counts = summarize(records_of(loader)).keypoint_counts
        count = next(iter(counts), 0)
    if not count:
        found.unjudged("number of keypoints: dataloader.train.dataset has no metadata.keypoint_names")
        return
    for path, number in heads.items():
        if number != count:
            found.add(
                f"{path}.num_keypoints",
                f"{path} predicts {number} keypoints, the objects of dataloader.train.dataset have {count}",
                f"{path}.num_keypoints={count}",
            )
    flips = mapper.keypoint_hflip_indices
    where = "dataloader.train.mapper.keypoint_hflip_indices"
    if flips is None:
        flips_of = chain(_flips(mapper.mixing), _flips(mapper.augmentations))
        if any(flip.horizontal and flip.prob > 0 for flip in flips_of):
            found.add(
                where,
                "an augmentation mirrors images, and which keypoints swap then is not known",
                f"'{where}=[...]', {count} numbers: which keypoint takes the place of each "
                "(lazycfg.data.create_keypoint_hflip_indices makes them of the metadata)",
            )
        return
    if sorted(flips.tolist()) != list(range(count)) or not np.array_equal(flips[flips], np.arange(count)):
        found.add(
            where,
            f"{flips.tolist()}: expected each of 0 to {count - 1} once, two that swap in each other's place",
        )


def _flips(augmentation: Any) -> Iterator[RandomFlip]:
    if isinstance(augmentation, RandomFlip):
        yield augmentation
    inner = [getattr(augmentation, name, None) for name in ("aug", "others")]
    inner += getattr(augmentation, "augs", ())
    for part in inner:
        if part is not None:
            yield from _flips(part)


def check_evaluated_data(cfg: Node, evaluator: Any, loader: Any, found: Findings) -> None:
    """See whether the evaluators compare with the data set that the test loader reads."""
    records = records_of(loader)
    several = len(evaluators_of(evaluator)) > 1
    for number, single in enumerate(evaluators_of(evaluator)):
        path = f"dataloader.evaluator.{number}" if several else "dataloader.evaluator"
        dataset = getattr(single, "dataset", None)
        if dataset is None or records is None:
            found.unjudged(f"whether {path} has the data set of dataloader.test: {type(single).__name__}")
        elif dataset is not records and (difference := _difference(dataset, records)):
            found.add(
                f"{path}.dataset",
                f"it is not the data set of dataloader.test: {difference}",
                f"'{path}.dataset=&dataloader.test.dataset'"
                if stored(cfg, "dataloader.test.dataset") is not None
                else "",
            )


def remark_on_test_data(evaluator: Any, loader: Any, found: Findings) -> None:
    """Remark on test data without objects, on signs that it is misread, and on crowded images."""
    records = records_of(loader)
    boxes = [each for each in evaluators_of(evaluator) if isinstance(each, COCOEvaluator)]
    if records is None or not boxes:
        return
    summary = summarize(records)
    if not is_validated(records):  # others have said so
        for sentence in summary.warnings():
            found.remark(f"dataloader.test.dataset: {sentence}")
    if summary.num_images and not summary.num_instances:
        found.remark(
            f"none of the {summary.num_images} images of dataloader.test has an annotated object: all "
            "results will be NaN"
        )
    for single in boxes:
        limit = single.max_dets_per_image or _MAX_DETECTIONS
        if summary.most_instances > limit:
            most = summary.most_instances
            found.remark(
                f"an image of dataloader.test has {most} objects, and {limit} detections of a class count: "
                f"dataloader.evaluator.max_dets_per_image={most} counts more, and the model must find as "
                "many (test_topk_per_image of its box predictor)"
            )


def check_sigmas(model: nn.Module, evaluator: Any, found: Findings) -> None:
    """See whether the evaluation of keypoints knows how exact each of them has to be."""
    counts = [need.keypoints for _, need in needs_of(model) if need.keypoints is not None]
    for single in evaluators_of(evaluator):
        if not counts or not isinstance(single, COCOEvaluator):
            continue
        given = len(single.kpt_oks_sigmas) or len(COCO_PERSON_KEYPOINT_OKS_SIGMAS)
        if given != counts[0] and (single.tasks is None or "keypoints" in single.tasks):
            whose = "" if single.kpt_oks_sigmas else " (those of COCO's persons)"
            found.add(
                "dataloader.evaluator.kpt_oks_sigmas",
                f"the model predicts {counts[0]} keypoints, and there are {given} tolerances{whose}",
                f"'dataloader.evaluator.kpt_oks_sigmas=[0.05, ...]', {counts[0]} numbers, or "
                "keypoint_oks_sigmas of the data set",
            )


def _difference(one: Any, other: Any) -> str | None:
    """Say how two data sets differ in what an evaluation compares; None if they do not."""
    if len(one) != len(other):
        return f"it has {len(one)} images, the other {len(other)}"
    for name in ("thing_classes", "stuff_classes"):
        mine, theirs = (getattr(getattr(d, "metadata", None), name, ()) for d in (one, other))
        if tuple(mine or ()) != tuple(theirs or ()):
            return f"{name} differ"
    for index in range(len(one)):
        mine, theirs = _key(get_annotations(one, index)), _key(get_annotations(other, index))
        if mine != theirs:
            return f"record {index} differs: {mine[0]} and {theirs[0]}"
    return None


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    names = {name: record.get(name) for name in ("image_id", "file_name", "height", "width")}
    annotations = record.get("annotations") or ()
    objects = [(a.get("category_id"), *map(float, a.get("bbox", ()))) for a in annotations]
    return names, objects
