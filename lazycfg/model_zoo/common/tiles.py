"""Tiled inference of any detector's config, in two lines of a config file:

    from ..common.tiles import with_tiles
    model = with_tiles(model, dataloader, slice_size=640)

Weights of the model itself are loaded as before, and in training it is the model. Its parts now stand one
level deeper: `model.model.roi_heads`.
"""

from lazycfg import LazyCall as L
from lazycfg.data.transforms import AugmentationList
from lazycfg.modeling import TiledInference


def with_tiles(model, dataloader=None, **options):
    """Return the model behind tiles.

    Args:
        model: the node of any detector.
        dataloader: if given, its test images are no longer resized: each tile is instead, by what the test
            mapper had as augmentations. It is changed.
        options: arguments of `TiledInference`: slice_size, overlap, match_metric...
    """
    tiled = L(TiledInference)(model=model, **options)
    if dataloader is not None:
        mapper = dataloader.test.mapper
        if mapper.get("augmentations"):
            tiled.resize = L(AugmentationList)(augs=mapper.augmentations)
        mapper.augmentations = []
    return tiled
