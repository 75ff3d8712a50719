"""Losses on data that is not trained on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.evaluation import EvaluationInterrupted
from lazycfg.utils import EventStorage, all_gather

from ..distributed import preserved_rng
from .evaluation import EvalHook

__all__ = ["ValidationLoss", "validation_losses"]

# Modules that do something else in training: they stay in evaluation mode while losses are computed
_DIFFERENT_IN_TRAINING = (
    nn.modules.batchnorm._NormBase,
    nn.modules.dropout._DropoutNd,
)


class ValidationLoss(EvalHook):
    """Records losses on held-out data as ``val/total_loss``, ``val/loss_cls``...

    Args:
        eval_period: iterations between two evaluations; 0 for only the end.
        data_loader: finite, with annotations, e.g. a `build_detection_test_loader` whose mapper has
            ``is_train=True``.
        max_batches: take only so many.
    """

    def __init__(
        self, eval_period: int, data_loader: Iterable[Any], *, max_batches: int | None = None
    ) -> None:
        super().__init__(eval_period, self._losses)
        self.data_loader = data_loader
        self.max_batches = max_batches

    def _losses(self) -> dict[str, Any]:
        model = self.trainer.model
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        asked = self.trainer.interruption
        return {
            "val": validation_losses(
                model, self.data_loader, self.max_batches, should_stop=lambda: asked.signal
            )
        }


def validation_losses(
    model: nn.Module,
    data_loader: Iterable[Any],
    max_batches: int | None = None,
    *,
    should_stop: Callable[[], int] | None = None,
) -> dict[str, float]:
    """Mean of every loss over a loader, and over the processes that share it. The same draws every time.

    Args:
        model: gives losses in training mode. Normalisation and dropout work as in evaluation meanwhile.
        data_loader: batches with annotations.
        max_batches: take only so many.
        should_stop: asked after each batch; a true answer in any process ends it in all.

    Returns:
        mean losses with ``"total_loss"``.

    Raises:
        EvaluationInterrupted: `should_stop` gave a true answer.
    """
    sums: dict[str, Tensor] = {}
    count = reason = 0
    # What a model records of its own while it is trained would go among the numbers of the training
    with preserved_rng(), torch.no_grad(), _giving_losses(model), EventStorage():
        torch.manual_seed(0)
        for batch in data_loader:
            if max_batches is not None and count >= max_batches:
                break
            losses: Mapping[str, Tensor] = model(batch)
            for name, value in losses.items():
                sums[name] = sums[name] + value if name in sums else value.detach().clone()
            count += 1
            if should_stop is not None and (reason := should_stop()):
                break
    gathered = all_gather(({name: float(value) for name, value in sums.items()}, count, reason))
    if reason := max(each for _, _, each in gathered):
        raise EvaluationInterrupted(reason)
    total = sum(each for _, each, _ in gathered)
    names = dict.fromkeys(name for values, _, _ in gathered for name in values)
    means = {name: sum(values.get(name, 0.0) for values, _, _ in gathered) / max(total, 1) for name in names}
    return {**means, "total_loss": sum(means.values())}


@contextmanager
def _giving_losses(model: nn.Module) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    try:
        for module in before:
            module.training = not isinstance(module, _DIFFERENT_IN_TRAINING)
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
