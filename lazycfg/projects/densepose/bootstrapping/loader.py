"""Loaders of images that a teacher annotates, and of these among annotated ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lazycfg.checkpoint import load_weights
from lazycfg.data import build_detection_train_loader
from lazycfg.data.loader import TrainLoader
from lazycfg.engine import resolve_device
from lazycfg.evaluation import inference_context
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import comm

from ..structures import DensePoseList, output_to_masks
from .sampling import PointSampler, ScoreBasedFilter

__all__ = [
    "BootstrappingTrainLoader",
    "CombinedLoader",
    "InferenceBasedLoader",
    "instances_of_predictions",
]

logger = logging.getLogger(__name__)


class Frames(Protocol):
    """Files with frames, such as `VideoKeyframeDataset`."""

    def __len__(self) -> int: ...

    def frames(self, index: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        """Return the records of some frames of a file."""
        ...


def instances_of_predictions(
    predictions: Instances,
    point_sampler: PointSampler,
    *,
    masks: bool,
    generator: torch.Generator | None = None,
) -> Instances:
    """Return predictions as ground truth, on the CPU: ``gt_boxes``, ``gt_classes``, ``gt_densepose`` and, if
    they are wanted, ``gt_masks``.

    Args:
        predictions: of one image, in its pixels: ``pred_boxes``, ``pred_classes`` and ``pred_densepose``.
        point_sampler: draws the annotated points.
        masks: whether masks are wanted.
        generator: what to draw from, on the CPU.
    """
    out = Instances(predictions.image_size)
    boxes = predictions.pred_boxes.tensor
    out.gt_boxes = Boxes(boxes.cpu())
    out.gt_classes = predictions.pred_classes.cpu()
    if masks:
        out.gt_masks = output_to_masks(predictions.pred_densepose, boxes, predictions.image_size).to("cpu")
    datas = point_sampler(predictions, generator)
    out.gt_densepose = DensePoseList(datas, boxes.cpu(), predictions.image_size)
    return out


class _MappedFrames(Dataset[list[dict[str, Any]]]):
    """Frames of files, mapped; asked for by (number of the file, position in the stream)."""

    def __init__(
        self, frames: Frames, mapper: Callable[..., dict[str, Any]], seed: int, on_error: str
    ) -> None:
        self.frames, self.mapper, self.seed, self.on_error = frames, mapper, seed, on_error

    def __getitem__(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        index, position = key
        rng = np.random.default_rng([self.seed, position])
        try:
            return [self.mapper(record) for record in self.frames.frames(index, rng)]
        except (OSError, ValueError) as error:
            if self.on_error == "raise":
                raise
            logger.warning("skipped a file without annotations: %s", error)
            return []


class InferenceBasedLoader:
    """Endless images with annotations that a teacher makes, one at a time; it can be continued exactly.

    Files come in an order that is drawn anew after all of them. `files_at_once` are read, the teacher
    predicts for their frames, its predictions become annotations, and the images are given in another order.
    Images without an object that passes the filter are left out.

    Args:
        teacher: a model with ``inference(batch, do_postprocess=False)``.
        weights: of the teacher, see `lazycfg.checkpoint.load_weights`; None leaves it as it is.
        device: where the teacher predicts; "auto": as the training.
        frames: files with frames.
        mapper: record of a frame -> what the teacher takes, as a `DatasetMapper` that is not for training.
        point_sampler: draws the annotated points.
        data_filter: which objects are kept, as `ScoreBasedFilter`.
        masks: whether instances get ``gt_masks``.
        files_at_once: files that are read for one round of predictions.
        batch_size: images that the teacher is given at once.
        num_workers: processes that read files.
        seed: of all that is random; None (or -1): another in every run.
        on_error: "raise", or "skip" files that cannot be read.

    Raises:
        FileNotFoundError, CheckpointError: the weights cannot be read or do not fit.
        RuntimeError: while iterating, the teacher found nothing in all files.
    """

    def __init__(
        self,
        *,
        teacher: nn.Module,
        frames: Frames,
        mapper: Callable[..., dict[str, Any]],
        point_sampler: PointSampler,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        data_filter: Callable[[Instances], Instances] | None = None,
        masks: bool = True,
        files_at_once: int = 8,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int | None = 0,
        on_error: str = "raise",
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error must be "raise" or "skip", got {on_error!r}')
        if files_at_once < 1 or batch_size < 1:
            raise ValueError(
                f"InferenceBasedLoader: files_at_once={files_at_once} and batch_size={batch_size} must be at "
                "least 1"
            )
        if weights is not None:
            load_weights(teacher, weights)
        self.teacher = teacher.to(resolve_device(device)).eval().requires_grad_(False)
        self.frames = frames
        self.mapper = mapper
        self.point_sampler = point_sampler
        self.data_filter = data_filter or ScoreBasedFilter()
        self.masks = masks
        self.files_at_once = files_at_once
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = comm.shared_random_seed() if seed is None or seed < 0 else seed
        self.on_error = on_error
        self.round = 0
        self.taken = 0

    def state_dict(self) -> dict[str, int]:
        """Return the round of predictions, and how many images of it were given."""
        return {"round": self.round, "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on behind where another loader of the same arguments was."""
        self.round, self.taken = int(state["round"]), int(state["taken"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        barren = 0
        for files in self._read(self.round):
            samples = self._annotated(files)
            barren = 0 if samples else barren + self.files_at_once
            if barren >= len(self.frames) + self.files_at_once:
                raise RuntimeError(
                    f"the teacher found no object that passes the filter in any of {len(self.frames)} files: "
                    f"{vars(self.data_filter)}"
                )
            for sample in samples[self.taken :]:
                self.taken += 1
                yield sample
            self.round, self.taken = self.round + 1, 0

    def _keys(self, first_round: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the files of each round, and their positions in the stream that all processes share."""
        rank, world_size = comm.get_rank(), comm.get_world_size()
        position = first_round * self.files_at_once
        while True:
            keys = []
            for own in range(position, position + self.files_at_once):
                place = own * world_size + rank
                epoch, number = divmod(place, len(self.frames))
                order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.frames))
                keys.append((int(order[number]), place))
            position += self.files_at_once
            yield keys

    def _read(self, first_round: int) -> Iterator[list[list[dict[str, Any]]]]:
        dataset = _MappedFrames(self.frames, self.mapper, self.seed, self.on_error)
        return iter(
            DataLoader(
                dataset,
                batch_sampler=self._keys(first_round),  # type: ignore[arg-type]
                num_workers=self.num_workers,
                collate_fn=_as_it_is,
                generator=torch.Generator().manual_seed(0),  # else the global generator is advanced
            )
        )

    def _annotated(self, files: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        images = [image for file in files for image in file]
        rng = np.random.default_rng([self.seed, 2, comm.get_rank(), self.round])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        samples = []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            with inference_context(self.teacher):
                predictions = self.teacher.inference(batch, do_postprocess=False)
            for image, found in zip(batch, predictions, strict=True):
                kept = self.data_filter(found)
                if len(kept):
                    instances = instances_of_predictions(
                        kept, self.point_sampler, masks=self.masks, generator=generator
                    )
                    samples.append({**image, "instances": instances})
        order = torch.randperm(len(samples), generator=generator).tolist()
        return [samples[i] for i in order]


class CombinedLoader:
    """Endless batches in which each image is drawn from one of several loaders.

    Args:
        loader: of annotated images, from which the size of batches is taken.
        others: loaders that give one image at a time, as `InferenceBasedLoader`.
        ratios: how many images are drawn of each of the others for one of `loader`, in the mean.
        seed: of what is drawn.
    """

    per_rank = True

    def __init__(
        self, *, loader: TrainLoader, others: Sequence[Any], ratios: Sequence[float], seed: int = 0
    ) -> None:
        if len(others) != len(ratios) or any(not ratio > 0 for ratio in ratios):
            raise ValueError(
                f"CombinedLoader: {len(others)} other loaders need a positive ratio each, got {list(ratios)}"
            )
        self.loader = loader
        self.others = list(others)
        self.weights = np.array([1.0, *ratios]) / (1.0 + sum(ratios))
        self.seed = seed
        self.position = 0
        self._of_batch = 0
        self._start = 0

    @property
    def dataset(self) -> Any:
        """Return the data set of the annotated images."""
        return self.loader.dataset

    @property
    def metadata(self) -> Any:
        """Return what that data set says of itself."""
        return self.loader.metadata

    @property
    def total_batch_size(self) -> int:
        """Images in a batch over all processes."""
        return self.loader.total_batch_size

    @property
    def num_skipped(self) -> int:
        """Annotated images skipped so far."""
        return self.loader.num_skipped

    def state_dict(self) -> dict[str, Any]:
        """Return where this loader and all its loaders are."""
        return {
            "position": self.position,
            "start": self._start,
            "taken": self._of_batch,
            "loader": self.loader.state_dict(),
            "others": [other.state_dict() for other in self.others],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on behind where another loader of the same arguments was."""
        self.position = int(state["position"])
        self._start, self._of_batch = int(state["start"]), int(state["taken"])
        self.loader.load_state_dict({**state["loader"], "position": self._start})
        if self.loader.position != self._start:  # batches are of another size now
            self._start, self._of_batch = self.loader.position, 0
        for other, own in zip(self.others, state["others"], strict=True):
            other.load_state_dict(own)

    def __iter__(self) -> Iterator[list[Any]]:
        size = self.total_batch_size // comm.get_world_size()
        streams: list[Iterator[Any]] = [self._annotated(), *(iter(other) for other in self.others)]
        while True:
            rng = np.random.default_rng([self.seed, comm.get_rank(), self.position])
            batch = [next(streams[i]) for i in rng.choice(len(streams), size, p=self.weights)]
            self.position += 1
            yield batch

    def _annotated(self) -> Iterator[Any]:
        """Yield the images of the batches of `loader`, from behind the last one that was given."""
        self.loader.set_start(self._start)
        for batch in self.loader:
            while self._of_batch < len(batch):
                self._of_batch += 1
                yield batch[self._of_batch - 1]
            self._start, self._of_batch = self._start + 1, 0


class BootstrappingTrainLoader(CombinedLoader):
    """A `CombinedLoader` in the place of `build_detection_train_loader`, whose arguments it takes.

    Args:
        others, ratios: as of `CombinedLoader`.
        seed: of everything random that has none of its own; None (or -1): another in every run.
        kwargs: of the annotated images, the arguments of `build_detection_train_loader`.
    """

    def __init__(
        self, *, others: Sequence[Any], ratios: Sequence[float], seed: int | None = 0, **kwargs: Any
    ) -> None:
        seed = comm.shared_random_seed() if seed is None or seed < 0 else seed
        loader = build_detection_train_loader(seed=seed, **kwargs)
        super().__init__(loader=loader, others=others, ratios=ratios, seed=seed)


def _as_it_is(batch: list[Any]) -> list[Any]:
    return batch
