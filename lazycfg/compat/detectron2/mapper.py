"""`DatasetMapper` as old programs call it and derive from it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lazycfg import data

from . import detection_utils as utils
from . import transforms as T
from .configurable import configurable

__all__ = ["DatasetMapper"]


class DatasetMapper(data.DatasetMapper):
    """From a record to what a model takes: reads and augments the image, makes `Instances` of annotations.

    Given ``(cfg, is_train)``, or the arguments. A subclass may override `__call__`, `_transform_annotations`
    and `from_config`.
    """

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        augmentations: Sequence[Any],
        image_format: str,
        use_instance_mask: bool = False,
        use_keypoint: bool = False,
        instance_mask_format: str = "polygon",
        keypoint_hflip_indices: Any = None,
        precomputed_proposal_topk: int | None = None,
        recompute_boxes: bool = False,
    ) -> None:
        super().__init__(
            is_train=is_train,
            augmentations=list(augmentations),
            image_format=image_format,
            use_instance_mask=use_instance_mask,
            use_keypoint=use_keypoint,
            instance_mask_format=instance_mask_format,
            keypoint_hflip_indices=keypoint_hflip_indices,
            precomputed_proposal_topk=precomputed_proposal_topk,
            recompute_boxes=recompute_boxes,
        )
        self.augmentations = T.AugmentationList(self.augmentations.augs)
        self.proposal_topk = precomputed_proposal_topk

    @classmethod
    def from_config(cls, cfg: Any, is_train: bool = True) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        augmentations = utils.build_augmentation(cfg, is_train)
        recompute_boxes = False
        if cfg.INPUT.CROP.ENABLED and is_train:
            augmentations.insert(0, T.RandomCrop(cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE))
            recompute_boxes = cfg.MODEL.MASK_ON
        arguments = {
            "is_train": is_train,
            "augmentations": augmentations,
            "image_format": cfg.INPUT.FORMAT,
            "use_instance_mask": cfg.MODEL.MASK_ON,
            "instance_mask_format": cfg.INPUT.MASK_FORMAT,
            "use_keypoint": cfg.MODEL.KEYPOINT_ON,
            "recompute_boxes": recompute_boxes,
        }
        if cfg.MODEL.KEYPOINT_ON:
            arguments["keypoint_hflip_indices"] = utils.create_keypoint_hflip_indices(cfg.DATASETS.TRAIN)
        if cfg.MODEL.LOAD_PROPOSALS:
            split = "TRAIN" if is_train else "TEST"
            arguments["precomputed_proposal_topk"] = cfg.DATASETS[f"PRECOMPUTED_PROPOSAL_TOPK_{split}"]
        return arguments

    def __call__(
        self,
        dataset_dict: dict[str, Any],
        rng: np.random.Generator | None = None,
        others: Sequence[Any] | None = None,
    ) -> dict[str, Any]:
        """Map one record, which is not changed.

        Raises:
            FileNotFoundError, ImageError: the image cannot be read, or is not of the size that the record
            says.
        """
        rng = T.fresh_generator() if rng is None else rng
        if type(self)._transform_annotations is DatasetMapper._transform_annotations:
            return super().__call__(dataset_dict, rng=rng)
        record = copy.deepcopy(dataset_dict)
        image = utils.read_image(record["file_name"], format=self.image_format)
        utils.check_image_size(record, image)
        labels = record.pop("sem_seg_file_name", None)
        sem_seg = utils.read_image(labels, "L").squeeze(2) if labels is not None else None
        aug_input = T.AugInput(image, sem_seg=sem_seg)
        transforms = self.augmentations(aug_input, rng)
        record["image"] = torch.as_tensor(np.ascontiguousarray(aug_input.image.transpose(2, 0, 1)))
        if aug_input.sem_seg is not None:
            record["sem_seg"] = torch.as_tensor(aug_input.sem_seg.astype("long"))
        if self.proposal_topk is not None:
            utils.transform_proposals(
                record, aug_input.image.shape[:2], transforms, proposal_topk=self.proposal_topk
            )
        if not self.is_train:
            record.pop("annotations", None)
            return record
        if "annotations" in record:
            self._transform_annotations(record, transforms, aug_input.image.shape[:2])
        return record

    def _transform_annotations(self, dataset_dict: dict[str, Any], transforms: Any, image_shape: Any) -> None:
        """Replace "annotations" of a record by "instances", after the transforms; the record is changed."""
        for annotation in dataset_dict["annotations"]:
            if not self.use_instance_mask:
                annotation.pop("segmentation", None)
            if not self.use_keypoint:
                annotation.pop("keypoints", None)
        annotations = [
            utils.transform_instance_annotations(
                annotation, transforms, image_shape, keypoint_hflip_indices=self.keypoint_hflip_indices
            )
            for annotation in dataset_dict.pop("annotations")
            if annotation.get("iscrowd", 0) == 0
        ]
        instances = utils.annotations_to_instances(
            annotations, image_shape, mask_format=self.instance_mask_format
        )
        if self.recompute_boxes and instances.has("gt_masks"):
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        dataset_dict["instances"] = utils.filter_empty_instances(instances)
