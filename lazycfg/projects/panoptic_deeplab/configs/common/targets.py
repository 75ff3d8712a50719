"""The mapper of the training data."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import transforms as T
from lazycfg.projects.panoptic_deeplab import PanopticDeeplabDatasetMapper, PanopticDeepLabTargetGenerator


def panoptic_mapper(sizes, max_size, crop, sigma):
    """Resized to one of `sizes` (of the shorter side), cut to `crop` (height, width), perhaps mirrored."""
    return L(PanopticDeeplabDatasetMapper)(
        augmentations=[
            L(T.ResizeShortestEdge)(short_edge_length=sizes, sample_style="choice", max_size=max_size),
            L(T.RandomCrop)(crop_type="absolute", crop_size=crop),
            L(T.RandomFlip)(),
        ],
        image_format="RGB",
        panoptic_target_generator=L(PanopticDeepLabTargetGenerator)(
            ignore_label=ref("model.sem_seg_head.ignore_value"),
            thing_ids=ref("model.thing_ids"),
            sigma=sigma,
            ignore_stuff_in_offset=True,
            small_instance_area=4096,
            small_instance_weight=3,
            ignore_crowd_in_semantic=False,
        ),
    )
