"""COCO 2017, persons with keypoints: as `coco.py`, other files."""

from lazycfg.data.datasets import COCO_PERSON_KEYPOINT_HFLIP_INDICES, COCO_PERSON_KEYPOINT_OKS_SIGMAS

from .coco import dataloader

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"

dataloader.train.dataset.min_keypoints = 1
dataloader.train.dataset.dataset.name = "keypoints_coco_2017_train"
dataloader.train.dataset.dataset.json_file = f"{_coco}/annotations/person_keypoints_train2017.json"
dataloader.train.dataset.dataset.keypoint_oks_sigmas = COCO_PERSON_KEYPOINT_OKS_SIGMAS
dataloader.train.mapper.use_instance_mask = False
dataloader.train.mapper.use_keypoint = True
dataloader.train.mapper.keypoint_hflip_indices = COCO_PERSON_KEYPOINT_HFLIP_INDICES
dataloader.test.dataset.name = "keypoints_coco_2017_val"
dataloader.test.dataset.json_file = f"{_coco}/annotations/person_keypoints_val2017.json"
dataloader.test.dataset.keypoint_oks_sigmas = COCO_PERSON_KEYPOINT_OKS_SIGMAS
