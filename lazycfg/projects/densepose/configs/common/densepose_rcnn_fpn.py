"""DensePose R-CNN with charts (arXiv:1802.00434) on a feature pyramid over ResNet-50: the zoo's Faster R-CNN
with one class, regions pooled as at first, and a branch for charts.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.models.faster_rcnn_fpn import model
from lazycfg.modeling import ROIPooler
from lazycfg.projects.densepose import (
    Decoder,
    DensePoseChartWithConfidenceLoss,
    DensePoseChartWithConfidencePredictor,
    DensePoseConfidenceModelConfig,
    DensePoseDataFilter,
    DensePoseROIHeads,
    DensePoseSegmConfidenceConfig,
    DensePoseUVConfidenceConfig,
    DensePoseV1ConvXHead,
)

model.backbone.bottom_up.freeze_at = 2
model.roi_heads._target_ = DensePoseROIHeads
model.roi_heads.num_classes = 1
# Half a pixel off, as all published models are
model.roi_heads.box_pooler.update(pooler_type="ROIAlign", sampling_ratio=2)
model.roi_heads.update(
    densepose_in_features=ref(".box_in_features"),
    decoder=L(Decoder)(
        input_shape={
            name: ShapeSpec(channels=256, stride=stride)
            for name, stride in [("p2", 4), ("p3", 8), ("p4", 16), ("p5", 32)]
        },
        num_classes=256,
        conv_dims=256,
        norm="",
        common_stride=4,
    ),
    densepose_pooler=L(ROIPooler)(
        output_size=28, scales=(1.0 / 4,), sampling_ratio=2, pooler_type="ROIAlign"
    ),
    densepose_head=L(DensePoseV1ConvXHead)(
        input_channels=ref("..decoder.num_classes"),
        conv_head_dim=512,
        conv_head_kernel=3,
        num_stacked_convs=8,
    ),
    densepose_predictor=L(DensePoseChartWithConfidencePredictor)(
        input_channels=ref("..densepose_head.conv_head_dim"),
        num_coarse_segm_channels=2,
        num_patches=24,
        deconv_kernel=4,
        up_scale=2,
        confidence_model_cfg=L(DensePoseConfidenceModelConfig)(
            uv_confidence=L(DensePoseUVConfidenceConfig)(enabled=False, epsilon=0.01, type="iid_iso"),
            segm_confidence=L(DensePoseSegmConfidenceConfig)(enabled=False, epsilon=0.01),
        ),
    ),
    densepose_losses=L(DensePoseChartWithConfidenceLoss)(
        heatmap_size=112,
        w_points=0.01,
        w_part=1.0,
        w_segm=5.0,
        n_segm_chan=ref("..densepose_predictor.num_coarse_segm_channels"),
        segm_trained_by_masks=False,
        confidence_model_cfg=ref("..densepose_predictor.confidence_model_cfg"),
    ),
    densepose_data_filter=L(DensePoseDataFilter)(
        iou_threshold=0.7, keep_masks=ref("..densepose_losses.segm_trained_by_masks")
    ),
)
