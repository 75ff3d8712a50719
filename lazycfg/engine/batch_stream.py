"""Where a run stands in its data, and other states that belong to one process."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch import Tensor, nn

from lazycfg.checkpoint import RandomState, Stateful
from lazycfg.utils import is_main_process

from .distributed import preserved_rng

__all__ = ["BatchStream", "RankBuffers"]

logger = logging.getLogger(__name__)


class BatchStream:
    """Batches of a loader, over and over, with a position that is saved and resumed.

    A loader with ``state_dict`` and ``load_state_dict`` (as `build_detection_train_loader` returns) resumes
    by itself. Of any other loader the stream remembers the generators' state at the start of the epoch and
    how many batches were taken: resuming starts the same epoch again and passes over these, which is right
    for every loader that draws its order and its augmentations in the iterator or in worker processes.

    Args:
        loader: batches; a finite one is started again at its end.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader
        self._loader_has_state = isinstance(loader, Stateful)
        self._iterator: Iterator[Any] | None = None
        self._epoch = 0
        self._taken = 0
        self._epoch_start: Mapping[str, Any] | None = None

    @property
    def loader(self) -> Any:
        """Return the loader whose batches these are."""
        return self._loader

    @property
    def per_rank(self) -> bool:
        """Return whether every process has to keep a state of its own."""
        return bool(getattr(self._loader, "per_rank", False)) if self._loader_has_state else True

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = self._start_epoch()
        try:
            batch = next(self._iterator)
        except StopIteration:
            if self._taken == 0:
                raise ValueError(f"the training loader {self._loader!r} has no batches") from None
            self._epoch, self._taken = self._epoch + 1, 0
            self._iterator = self._start_epoch()
            batch = next(self._iterator)
        self._taken += 1
        return batch

    def close(self) -> None:
        """End the iteration, and with it the workers of the loader; the next batch begins another."""
        close = getattr(self._iterator, "close", None)
        self._iterator = None
        if close is not None:
            try:
                close()
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                # A worker that has ended already, as by the signal that ends the run: so it should
                logger.info("%s", error)

    def _start_epoch(self) -> Iterator[Any]:
        if self._loader_has_state:
            # Making an iterator may draw a seed for the workers; a resumed run makes one more of them.
            with preserved_rng():
                return iter(self._loader)
        set_epoch = getattr(getattr(self._loader, "sampler", None), "set_epoch", None)
        if set_epoch is not None:
            set_epoch(self._epoch)
        self._epoch_start = RandomState().state_dict()
        return iter(self._loader)

    def state_dict(self) -> dict[str, Any]:
        """Return the position: which batches were handed out, not which ones workers have prepared."""
        if self._loader_has_state:
            part = {"loader": self._loader.state_dict()}  # type: ignore[attr-defined]
        else:
            part = {"epoch_start": self._epoch_start}
        return {"epoch": self._epoch, "taken": self._taken, **part}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a position.

        Raises:
            ValueError: the position is of another kind of loader, or beyond the loader's end.
        """
        if self._loader_has_state != ("loader" in state):
            raise ValueError(
                "the data position was saved with another kind of loader; it cannot be resumed with this one"
            )
        self._epoch, self._taken, self._iterator = state["epoch"], state["taken"], None
        if self._loader_has_state:
            self._loader.load_state_dict(state["loader"])  # type: ignore[attr-defined]
            return
        if state["epoch_start"] is None:
            return
        logger.info("passing over %d batches to the position of the checkpoint", self._taken)
        with preserved_rng():
            RandomState().load_state_dict(state["epoch_start"])
            self._iterator = self._start_epoch()
            passed = sum(1 for _ in islice(self._iterator, self._taken))
        if passed != self._taken:
            raise ValueError(
                f"the loader ended after {passed} batches; the checkpoint is {self._taken} batches into it"
            )


class RankBuffers:
    """Numbers that a model keeps up in training, that each process has its own of, and that are not (or only
    the main process's are) in the checkpoint with the weights. Without them a run would not go on as it was.

    These are the statistics of BatchNorm, under DDP without broadcasting; and the buffers that a module names
    in ``training_buffers``, such as a moving average by which it divides its loss.
    """

    per_rank = True

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def state_dict(self) -> dict[str, Tensor]:
        """Return the buffers of this process that are not saved with the weights, in their shapes."""
        return {name: buffer for name, buffer, saved in self._buffers() if not (saved and is_main_process())}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy back the buffers that there are, each of the shape of its own."""
        for name, buffer, _ in self._buffers():
            if name in state:
                buffer.copy_(state[name])

    def _buffers(self) -> Iterator[tuple[str, Tensor, bool]]:
        """Yield names, buffers, and whether those of the main process are saved with the weights."""
        for name, module in self._model.named_modules():
            own = dict(module.named_buffers(recurse=False))
            statistics = own if isinstance(module, nn.modules.batchnorm._NormBase) else {}
            for leaf in {**statistics, **dict.fromkeys(getattr(module, "training_buffers", ()))}:
                saved = leaf not in module._non_persistent_buffers_set
                yield f"{name}.{leaf}".removeprefix("."), own[leaf], saved
