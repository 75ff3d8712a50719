"""Proposals that another model has made before: files of them, and datasets that carry them (Fast R-CNN)."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lazycfg.structures import BoxMode
from lazycfg.utils import UnsafeFileError, load_numpy_pickle

from .base import DatasetWrapper, Record, describe, get_annotations

__all__ = ["ProposalsDataset", "load_proposals_into_dataset", "read_proposals"]

# How Detectron's files name what detectron2's name otherwise
_OLD_NAMES = {"indexes": "ids", "scores": "objectness_logits"}
_MODES = ("detectron2.structures.boxes.BoxMode", "lazycfg.structures.box_mode.BoxMode")


class ProposalsDataset(DatasetWrapper):
    """A dataset whose records have "proposal_boxes", "proposal_objectness_logits" (best first) and
    "proposal_bbox_mode" besides, from a file of proposals as detectron2 and Detectron write it, or
    `COCOEvaluator` with an ``output_dir``.

    `DatasetMapper` makes "proposals" of them, the input of a `GeneralizedRCNN` without proposal generator,
    when it has a ``precomputed_proposal_topk``.

    Args:
        dataset: any dataset; its "image_id" says which proposals are whose.
        proposal_file: see `read_proposals`. It is read once; workers share the memory.

    Raises:
        FileNotFoundError, UnsafeFileError, ValueError: the file is not there, or wrong; or images of the
            dataset are not in it.
    """

    validated = DatasetWrapper.dataset_validated

    def __init__(self, *, dataset: Any, proposal_file: str | os.PathLike[str]) -> None:
        super().__init__(dataset=dataset)
        self.proposal_file = os.fspath(proposal_file)
        boxes, logits, ids, self.bbox_mode = read_proposals(proposal_file)
        place = {image_id: i for i, image_id in enumerate(ids)}
        rows, lacking = [], []
        for index in range(len(dataset)):
            record = get_annotations(dataset, index)
            found = place.get(str(record.get("image_id")))
            rows.append(-1 if found is None else found)
            if found is None:
                lacking.append(describe(record, index))
        if lacking:
            raise ValueError(
                f"{len(lacking)} of {len(dataset)} images have no proposals in {self.proposal_file}, which "
                f"has those of {len(ids)} images ({', '.join(ids[:3])}, ...): {'; '.join(lacking[:3])}"
                + ("; ..." if len(lacking) > 3 else "")
            )
        # Tensors, which worker processes share instead of copying
        counts = [len(boxes[row]) for row in rows]
        self._ends = torch.from_numpy(np.cumsum([0, *counts], dtype=np.int64))
        empty = np.zeros((0, boxes[0].shape[1] if boxes else 4), np.float32)
        self._boxes = torch.from_numpy(np.concatenate([empty, *(boxes[row] for row in rows)]))
        self._logits = torch.from_numpy(np.concatenate([empty[:, 0], *(logits[row] for row in rows)]))

    def __getitem__(self, index: int) -> Record:
        record = dict(self.dataset[index])
        index = range(len(self))[index]
        part = slice(int(self._ends[index]), int(self._ends[index + 1]))
        boxes, logits = self._boxes[part].numpy(), self._logits[part].numpy()
        order = np.argsort(-logits, kind="stable")
        record["proposal_boxes"] = boxes[order]
        record["proposal_objectness_logits"] = logits[order]
        record["proposal_bbox_mode"] = self.bbox_mode
        return record

    def get_annotations(self, index: int) -> Record:
        """Return the record without pixels and proposals."""
        return get_annotations(self.dataset, index)


def load_proposals_into_dataset(dataset: Any, proposal_file: str | os.PathLike[str]) -> ProposalsDataset:
    """Return the dataset with proposals in its records; see `ProposalsDataset`."""
    return ProposalsDataset(dataset=dataset, proposal_file=proposal_file)


def read_proposals(
    path: str | os.PathLike[str],
) -> tuple[list[np.ndarray], list[np.ndarray], list[str], BoxMode]:
    """Read a pickle with "boxes", "objectness_logits", "ids" and "bbox_mode" (XYXY_ABS when left out); of
    Detectron's files, with "indexes" and "scores". Nothing that a file contains is run.

    Returns:
        Per image boxes (N_i, 4) and scores (N_i,), both float32, and its id as text; and how the boxes are
        written.

    Raises:
        FileNotFoundError: no such file.
        UnsafeFileError: it holds something else than numbers.
        ValueError: it is damaged, or its parts do not agree.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of proposals at {path}")
    try:
        with path.open("rb") as file:
            content = load_numpy_pickle(file, enums=_MODES)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"{path} is not a file of proposals: {error}") from error
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not a file of proposals: {error}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; a file of proposals holds a dict")
    content = {_OLD_NAMES.get(str(name), str(name)): value for name, value in content.items()}
    lacking = [name for name in ("boxes", "objectness_logits", "ids") if name not in content]
    if lacking:
        raise ValueError(f"{path} has no {', '.join(map(repr, lacking))}, only {', '.join(content)}")
    mode = _mode(content.get("bbox_mode", BoxMode.XYXY_ABS), path)
    ids = [str(image_id) for image_id in _items(content["ids"])]
    boxes, logits = _items(content["boxes"]), _items(content["objectness_logits"])
    if not len(ids) == len(boxes) == len(logits):
        raise ValueError(
            f"{path}: {len(ids)} ids, {len(boxes)} entries of boxes and {len(logits)} of scores must be as "
            "many"
        )
    if len(set(ids)) < len(ids):
        twice = next(image_id for image_id in ids if ids.count(image_id) > 1)
        raise ValueError(f"{path} has the proposals of image_id {twice} more than once")
    width = 5 if mode == BoxMode.XYWHA_ABS else 4
    for i, image_id in enumerate(ids):
        place = f"{path}, image_id {image_id}"
        boxes[i] = _numbers(boxes[i], f"{place}: boxes")
        if boxes[i].size == 0:
            boxes[i] = boxes[i].reshape(0, width)
        logits[i] = _numbers(logits[i], f"{place}: scores").reshape(-1)
        if boxes[i].shape != (len(logits[i]), width):
            raise ValueError(
                f"{place}: {len(logits[i])} scores and boxes of shape {boxes[i].shape}, expected "
                f"({len(logits[i])}, {width})"
            )
    return boxes, logits, ids, mode


def _items(value: Any) -> list[Any]:
    """Return the items of a list, or of an array of objects, as a list."""
    return list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else [value]


def _numbers(value: Any, place: str) -> np.ndarray:
    try:
        return np.ascontiguousarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} are not numbers: {error}") from error


def _mode(value: Any, path: Path) -> BoxMode:
    try:
        return BoxMode(int(value))
    except (TypeError, ValueError):
        known = ", ".join(f"{int(mode)} ({mode.name})" for mode in BoxMode)
        raise ValueError(f"{path}: bbox_mode is {value!r}, expected one of {known}") from None
