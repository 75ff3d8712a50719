"""What the published chart models differ in, as functions that change a config's model and training."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.projects.densepose import DensePoseDeepLabHead
from lazycfg.solver import ClipGradValue


def use_deeplab_head(model):
    """DL: the head that looks at a region at several scales."""
    model.roi_heads.densepose_head = L(DensePoseDeepLabHead)(
        input_channels=ref("..decoder.num_classes"),
        conv_head_dim=512,
        conv_head_kernel=3,
        num_stacked_convs=8,
        norm="GN",
        nonlocal_on=False,
        dilations=[6, 12, 56],
    )


def use_confidences(model, train, *, uv_type, segm=False):
    """WC: how sure the coordinates are ("iid_iso", isotropic: WC1; "indep_aniso": WC2); with `segm` (M) also
    the segmentations."""
    confidences = model.roi_heads.densepose_predictor.confidence_model_cfg
    confidences.uv_confidence.update(enabled=True, type=uv_type)
    confidences.segm_confidence.enabled = segm
    model.roi_heads.densepose_losses.w_points = 0.0005
    train.clip_grad = L(ClipGradValue)(clip_value=1.0)
