"""Test-time augmentation of a chart model, in two lines of a config file:

    from .common.tta import with_tta
    model = with_tta(model, dataloader)

Weights of the model itself are loaded as before. For evaluation and prediction only: train without it.
"""

from typing import Any

from lazycfg.model_zoo.common.tta import with_tta as with_plain_tta
from lazycfg.projects.densepose import DensePoseGeneralizedRCNNWithTTA


def with_tta(model, dataloader):
    """The model behind test-time augmentation: nine sizes, each upright and mirrored.

    Args:
        model: the node of a `GeneralizedRCNN` with charts.
        dataloader: its test images are no longer resized before the views are made of them; the symmetries of
            charts are those of its training mapper. It is changed.
    """
    tta: Any = with_plain_tta(model, dataloader)
    tta._target_ = DensePoseGeneralizedRCNNWithTTA
    tta.symmetry_file = dataloader.train.mapper.symmetry_file
    tta.rotation_angles = []
    return tta
