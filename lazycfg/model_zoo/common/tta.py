"""Test-time augmentation of any two-stage config, in two lines of a config file:

    from ..common.tta import with_tta
    model = with_tta(model, dataloader)

Weights of the model itself are loaded as before. For evaluation and prediction only: train without it. The
model's parts now stand one level deeper: `model.model.roi_heads`.
"""

from lazycfg import LazyCall as L
from lazycfg.modeling import DatasetMapperTTA, GeneralizedRCNNWithTTA


def with_tta(model, dataloader=None):
    """The model behind test-time augmentation: nine sizes, each upright and mirrored.

    Args:
        model: the node of a `GeneralizedRCNN` or `PanopticFPN`.
        dataloader: if given, its test images are no longer resized before the views are made of them, and
            the keypoints that swap in mirror images are those of its training mapper. It is changed.
    """
    tta = L(GeneralizedRCNNWithTTA)(
        model=model,
        tta_mapper=L(DatasetMapperTTA)(
            min_sizes=(400, 500, 600, 700, 800, 900, 1000, 1100, 1200), max_size=4000, flip=True
        ),
        batch_size=3,
    )
    if dataloader is not None:
        dataloader.test.mapper.augmentations = []
        swaps = dataloader.train.mapper.get("keypoint_hflip_indices")
        if swaps is not None:
            tta.keypoint_hflip_indices = swaps
    return tta
