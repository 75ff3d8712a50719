"""The data: loaders, mappers and evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg import REQUIRED, ref
from lazycfg import LazyCall as L
from lazycfg.config import Node
from lazycfg.convert.yacs.augmentations import test_augmentations, train_augmentations
from lazycfg.convert.yacs.datasets import builtin_dataset, class_of_dataset, evaluators_of, has_instances
from lazycfg.convert.yacs.densepose_data import (
    bootstrapped,
    densepose_dataset,
    densepose_evaluators,
    densepose_mapper,
)
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import choose
from lazycfg.data import (
    CocoPanopticDataset,
    ConcatDataset,
    DatasetMapper,
    FilteredDataset,
    ProposalsDataset,
    RepeatFactorTrainingSampler,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data.datasets import COCO_PERSON_KEYPOINT_HFLIP_INDICES
from lazycfg.evaluation import (
    COCOEvaluator,
    COCOPanopticEvaluator,
    LVISEvaluator,
    RotatedCOCOEvaluator,
)
from lazycfg.projects.densepose import has_densepose, has_densepose_or_masks
from lazycfg.projects.panoptic_deeplab import PanopticDeeplabDatasetMapper, PanopticDeepLabTargetGenerator
from lazycfg.projects.point_sup import PointSupDatasetMapper

__all__ = ["build_dataloader"]


def build_dataloader(keys: Keys, datasets: Mapping[str, Any], remarks: list[str]) -> Any:
    """Return the node of `dataloader`.

    Args:
        keys: of the config.
        datasets: nodes of data sets by name, beside those that detectron2 knows.
        remarks: gets what a user should know.

    Raises:
        ConvertError: a data set is not known.
    """
    return Node(
        train=_train_loader(keys, datasets, remarks),
        test=_test_loader(keys, datasets, remarks),
        evaluator=_evaluator(keys, _test_set(keys, datasets)),
    )


def _is_panoptic_deeplab(keys: Keys) -> bool:
    return bool(keys("MODEL.META_ARCHITECTURE") == "PanopticDeepLab")


def _is_densepose(keys: Keys) -> bool:
    return bool(keys.part("MODEL.ROI_HEADS.NAME") == "DensePoseROIHeads")


def _named(keys: Keys, key: str, datasets: Mapping[str, Any]) -> list[Any]:
    """Return the nodes of the data sets that a key names.

    Raises:
        ConvertError: one of them is not known.
    """
    names = keys(key)
    if isinstance(names, str):
        raise keys.mistake(key, f"is {names!r}, no list of names", f"({names!r},)")
    nodes: list[Any] = [
        datasets[name].copy() if name in datasets else builtin_dataset(name) for name in names
    ]
    unknown = [name for name, node in zip(names, nodes, strict=True) if node is None]
    if unknown:
        place = "train.dataset.dataset" if key.endswith("TRAIN") else "test.dataset"
        known = f"coco_2017_{'train' if key.endswith('TRAIN') else 'val'}"
        listed = ", ".join(map(repr, unknown))
        calls = [f'L(CocoDataset)(name="{name}", json_file="...", image_root="...")' for name in unknown]
        written = calls[0] if len(calls) == 1 else f"L(ConcatDataset)(datasets=[{', '.join(calls)}])"
        raise keys.mistake(
            key,
            f"there is no data set {listed} among those of detectron2. Convert with another one, --opts "
            f"{key} '(\"{known}\",)', and write into the config what registered {listed}, as "
            f"dataloader.{place} = {written}",
            known=tuple(name for name in names if name not in unknown) or (known,),
        )
    found = []
    for name, node in zip(names, nodes, strict=True):
        if class_of_dataset(node) is CocoPanopticDataset and _is_panoptic_deeplab(keys):
            node.sem_seg = False  # the panoptic segments are all that is read
            if key.endswith("TRAIN"):
                node.instances = None
        found.append(densepose_dataset(keys, name, node) if _is_densepose(keys) else node)
    return found


def _train_set(keys: Keys, datasets: Mapping[str, Any], remarks: list[str]) -> Any:
    found = _named(keys, "DATASETS.TRAIN", datasets)
    if not found:
        return REQUIRED
    files = _proposal_files(keys, "TRAIN", len(found), remarks)
    if files and len(found) > 1:
        found = [_with_proposals(node, file) for node, file in zip(found, files, strict=True)]
    node = found[0] if len(found) == 1 else L(ConcatDataset)(datasets=found)
    filtered = all(map(has_instances, found)) and keys("DATALOADER.FILTER_EMPTY_ANNOTATIONS")
    if _is_densepose(keys) and filtered:
        masks = keys("MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS")
        node = L(FilteredDataset)(dataset=node, keep=has_densepose_or_masks if masks else has_densepose)
    elif filtered:
        visible = keys("MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE") if keys("MODEL.KEYPOINT_ON") else 0
        node = L(FilteredDataset)(dataset=node, min_keypoints=visible)
    return _with_proposals(node, files[0]) if files and len(found) == 1 else node


def _proposal_files(keys: Keys, split: str, number: int, remarks: list[str]) -> list[str]:
    if not keys("MODEL.LOAD_PROPOSALS"):
        return []
    key = f"DATASETS.PROPOSAL_FILES_{split}"
    files = keys(key)
    if len(files) != number:
        raise keys.mistake(key, f"has {len(files)} files for {number} data sets")
    found = []
    for file in files:
        if "://" in file:
            local = f"${{oc.env:DETECTRON2_DATASETS,datasets}}/proposals/{file.rpartition('/')[2]}"
            url = file.replace("detectron2://", "https://dl.fbaipublicfiles.com/detectron2/")
            remarks.append(
                f"{key}: nothing is downloaded; put {url} into the folder proposals of $DETECTRON2_DATASETS."
            )
            file = local
        found.append(file)
    return found


def _with_proposals(node: Any, file: str) -> Any:
    return L(ProposalsDataset)(dataset=node, proposal_file=file)


def _train_loader(keys: Keys, datasets: Mapping[str, Any], remarks: list[str]) -> Any:
    dataset = _train_set(keys, datasets, remarks)
    if dataset is REQUIRED:
        remarks.append("DATASETS.TRAIN is empty: dataloader.train.dataset is to be filled in.")
    samplers = {"TrainingSampler": None, "RepeatFactorTrainingSampler": _repeat_factors}
    sampler = choose(keys, "DATALOADER.SAMPLER_TRAIN", samplers)
    given: dict[str, Any] = {
        "dataset": dataset,
        "mapper": _train_mapper(keys, dataset),
        "total_batch_size": keys("SOLVER.IMS_PER_BATCH"),
        "num_workers": keys("DATALOADER.NUM_WORKERS"),
        "seed": ref("oc.select:train.seed,0"),
    }
    if not keys("DATALOADER.ASPECT_RATIO_GROUPING"):
        given["aspect_ratio_grouping"] = False
    if sampler is not None:
        given["sampler"] = sampler(keys)
    if keys("SOLVER.REFERENCE_WORLD_SIZE"):
        remarks.append(
            "SOLVER.REFERENCE_WORLD_SIZE: nothing is scaled with the number of processes; batch, rate and "
            f"steps are those for {keys('SOLVER.REFERENCE_WORLD_SIZE')} GPUs."
        )
    if _is_densepose(keys) and keys("BOOTSTRAP_DATASETS"):
        return bootstrapped(keys, given)
    return L(build_detection_train_loader)(**given)


def _repeat_factors(keys: Keys) -> Any:
    factors = L(RepeatFactorTrainingSampler.repeat_factors_from_category_frequency)(
        dataset=ref("...dataset"),
        repeat_thresh=keys("DATALOADER.REPEAT_THRESHOLD"),
        sqrt=keys("DATALOADER.REPEAT_SQRT"),
    )
    return L(RepeatFactorTrainingSampler)(repeat_factors=factors, seed=ref("..seed"))


def _train_mapper(keys: Keys, dataset: Any) -> Any:
    image_format = keys("INPUT.FORMAT")
    augmentations = train_augmentations(keys)
    if _is_panoptic_deeplab(keys):
        return L(PanopticDeeplabDatasetMapper)(
            augmentations=augmentations,
            image_format=image_format,
            panoptic_target_generator=L(PanopticDeepLabTargetGenerator)(
                ignore_label=ref("model.sem_seg_head.ignore_value"),
                thing_ids=ref("model.thing_ids"),
                sigma=keys("INPUT.GAUSSIAN_SIGMA"),
                ignore_stuff_in_offset=keys("INPUT.IGNORE_STUFF_IN_OFFSET"),
                small_instance_area=keys("INPUT.SMALL_INSTANCE_AREA"),
                small_instance_weight=keys("INPUT.SMALL_INSTANCE_WEIGHT"),
                ignore_crowd_in_semantic=keys("INPUT.IGNORE_CROWD_IN_SEMANTIC"),
            ),
        )
    masks = keys("MODEL.MASK_ON") and not keys("INPUT.POINT_SUP") and has_instances(dataset)
    given: dict[str, Any] = {
        "is_train": True,
        "augmentations": augmentations,
        "image_format": image_format,
        "use_instance_mask": masks,
        "recompute_boxes": bool(keys("MODEL.MASK_ON") and keys("INPUT.CROP.ENABLED")),
    }
    if masks:
        given["instance_mask_format"] = keys("INPUT.MASK_FORMAT")
    if keys("MODEL.KEYPOINT_ON"):
        given |= {"use_keypoint": True, "keypoint_hflip_indices": COCO_PERSON_KEYPOINT_HFLIP_INDICES}
    if keys("MODEL.LOAD_PROPOSALS"):
        given["precomputed_proposal_topk"] = keys("DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TRAIN")
    if _has_rotated_boxes(keys):
        given["use_rotated_box"] = True
    if _is_densepose(keys):
        return densepose_mapper(keys, given)
    if keys("INPUT.POINT_SUP"):
        return L(PointSupDatasetMapper)(**given, sample_points=keys("INPUT.SAMPLE_POINTS"))
    return L(DatasetMapper)(**given)


def _has_rotated_boxes(keys: Keys) -> bool:
    names = keys.part("MODEL.PROPOSAL_GENERATOR.NAME"), keys.part("MODEL.ROI_HEADS.NAME")
    return "RRPN" in names or "RROIHeads" in names


def _test_set(keys: Keys, datasets: Mapping[str, Any]) -> Any:
    found = _named(keys, "DATASETS.TEST", datasets)
    return found[0] if found else REQUIRED


def _test_loader(keys: Keys, datasets: Mapping[str, Any], remarks: list[str]) -> Any:
    dataset = _test_set(keys, datasets)
    names = keys("DATASETS.TEST")
    if not names:
        remarks.append("DATASETS.TEST is empty: dataloader.test.dataset is to be filled in.")
    if len(names) > 1:
        others = ", ".join(names[1:])
        remarks.append(
            f"DATASETS.TEST: one data set is evaluated in a run, {names[0]}; evaluate the others ({others}) "
            "with another dataloader.test.dataset and --eval-only."
        )
    files = _proposal_files(keys, "TEST", len(names), remarks)
    if files:
        dataset = _with_proposals(dataset, files[0])
    given: dict[str, Any] = {
        "is_train": False,
        "augmentations": test_augmentations(keys),
        "image_format": ref("...train.mapper.image_format"),
    }
    if files:
        given["precomputed_proposal_topk"] = keys("DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TEST")
    return L(build_detection_test_loader)(
        dataset=dataset, mapper=L(DatasetMapper)(**given), num_workers=keys("DATALOADER.NUM_WORKERS")
    )


def _evaluator(keys: Keys, dataset: Any) -> Any:
    if _is_densepose(keys):
        return densepose_evaluators(keys)
    kinds: Sequence[Any] = evaluators_of(dataset) if isinstance(dataset, Node) else evaluators_of(None)
    if _is_panoptic_deeplab(keys) and class_of_dataset(dataset) is CocoPanopticDataset:
        kinds = [COCOPanopticEvaluator, COCOEvaluator]
    if _has_rotated_boxes(keys):
        kinds = [RotatedCOCOEvaluator]
    more: dict[str, Any] = {}
    if keys("MODEL.KEYPOINT_ON") and keys("TEST.KEYPOINT_OKS_SIGMAS"):
        more["kpt_oks_sigmas"] = keys("TEST.KEYPOINT_OKS_SIGMAS")
    if kinds == [LVISEvaluator]:
        more["max_dets_per_image"] = 300
    if len(kinds) == 1:
        return L(kinds[0])(dataset=ref("..test.dataset"), **more)
    return [
        L(kind)(dataset=ref("...test.dataset"), **(more if kind is COCOEvaluator else {})) for kind in kinds
    ]
