"""Keypoint R-CNN (Mask R-CNN, arXiv:1703.06870, section 5): boxes and keypoints of people."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import KRCNNConvDeconvUpsampleHead, ROIPooler

from .mask_rcnn_fpn import model

for name in ("mask_in_features", "mask_pooler", "mask_head"):
    del model.roi_heads[name]

model.roi_heads.update(
    num_classes=1,
    keypoint_in_features=["p2", "p3", "p4", "p5"],
    keypoint_pooler=L(ROIPooler)(
        output_size=14,
        scales=(1.0 / 4, 1.0 / 8, 1.0 / 16, 1.0 / 32),
        sampling_ratio=0,
        pooler_type="ROIAlignV2",
    ),
    keypoint_head=L(KRCNNConvDeconvUpsampleHead)(
        input_shape=ShapeSpec(channels=256, width=14, height=14),
        num_keypoints=17,
        conv_dims=[512] * 8,
        loss_normalizer="visible",
    ),
)

# Found by the reference's authors: 1,000 proposals of an image are too few for box AP here, and keypoint AP
# is worse with a plain L1 loss of the boxes.
model.proposal_generator.post_nms_topk = (1500, 1000)
model.roi_heads.box_predictor.smooth_l1_beta = 0.5
