"""The hook that ends or changes the augmentation for the last part of a training."""

import logging
from typing import Any

from lazycfg.data import DatasetMapper, TrainLoader

from ..batch_stream import BatchStream
from .base import HookBase

__all__ = ["LateAugmentations"]

logger = logging.getLogger(__name__)


class LateAugmentations(HookBase):
    """Trains the last part with other augmentations; by default, without Mosaic, MixUp and CopyPaste.

    Detectors gain when they see images as they are at the end. Which augmentations an image gets depends on
    the number of its iteration alone: nothing is kept, so a resumed run does the same, and workers may be any
    number of batches ahead. When ``train.max_iter`` is changed, the last part moves with it.

    Args:
        last: the last so many iterations; or, below 1, that part of the training.
        augmentations: those of the last part, instead of the mapper's; None: the mapper's, without what makes
            one image of several.

    Raises:
        ValueError: `last` is neither.
    """

    def __init__(self, *, last: float, augmentations: Any = None) -> None:
        whole = isinstance(last, int) and not isinstance(last, bool) and last >= 1
        if not whole and not (isinstance(last, float) and 0 < last < 1):
            raise ValueError(
                f"LateAugmentations: last must be a number of iterations, or a part between 0 and 1, "
                f"got {last!r}"
            )
        self.last = last
        self.augmentations = augmentations

    def first_iter(self, max_iter: int) -> int:
        """Return the first iteration of the last part."""
        last = self.last if isinstance(self.last, int) else round(self.last * max_iter)
        return max(0, max_iter - last)

    def late_mapper(self, loader: Any) -> DatasetMapper:
        """Return the mapper of the last part.

        Raises:
            ValueError: the loader or its mapper cannot change, or there is nothing to change.
        """
        mapper = loader.dataset.map_func if isinstance(loader, TrainLoader) else None
        if not isinstance(mapper, DatasetMapper):
            got = type(loader).__name__ if mapper is None else f"the mapper {type(mapper).__name__}"
            raise ValueError(
                "LateAugmentations needs a loader of build_detection_train_loader with a DatasetMapper and a "
                f"dataset that is no stream, got {got}"
            )
        if self.augmentations is None and not mapper.mixing:
            raise ValueError(
                "LateAugmentations: the mapper has no augmentation that makes one image of several, so there "
                "is nothing to leave out; give augmentations=[...] for the last part, or remove the hook"
            )
        return mapper.with_augmentations(self.augmentations)

    def before_train(self) -> None:
        """Tell the loader from which batch on the augmentations change."""
        trainer = self.trainer
        stream = trainer.data
        loader = stream.loader if isinstance(stream, BatchStream) else None
        mapper = self.late_mapper(loader)
        assert isinstance(stream, BatchStream)
        assert isinstance(loader, TrainLoader)
        first = self.first_iter(trainer.max_iter)
        ahead = max(0, first - trainer.iter) * trainer.accumulate
        stream.close()  # workers of an earlier training would go on with the old mapper
        loader.set_late_mapper(mapper, loader.position + ahead)
        logger.info("from iteration %d on: augmentations %s", first, mapper.augmentations.augs)
