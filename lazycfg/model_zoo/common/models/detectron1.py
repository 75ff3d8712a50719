"""What differs in the models of Detectron, the predecessor of the reference."""

from typing import Any


def as_in_detectron1(model: Any) -> Any:
    """Return the config of an R-CNN with the regions and box losses of Detectron; it is changed.

    Regions lie half a pixel off and are sampled at 2x2 points a bin, and the box losses are quadratic for
    small errors.
    """
    model.proposal_generator.smooth_l1_beta = 1.0 / 9
    model.roi_heads.box_predictor.smooth_l1_beta = 1.0
    for name in ("box_pooler", "mask_pooler", "keypoint_pooler"):
        if name in model.roi_heads:
            model.roi_heads[name].update(pooler_type="ROIAlign", sampling_ratio=2)
    return model
