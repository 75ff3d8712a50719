"""Exact statistics of batch normalisation before each evaluation: ``train.hooks = [precise_bn()]``."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import build_detection_train_loader
from lazycfg.engine import PreciseBN


def precise_bn(num_iter=200):
    """Return the hook, with a loader of its own over the training's data and mapper."""
    settings = ("dataset", "mapper", "total_batch_size", "num_workers", "seed")
    return L(PreciseBN)(
        period=ref("train.eval_period"),
        data_loader=L(build_detection_train_loader)(
            **{setting: ref(f"dataloader.train.{setting}") for setting in settings}
        ),
        num_iter=num_iter,
    )
