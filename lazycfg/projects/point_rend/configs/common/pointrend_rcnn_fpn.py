"""PointRend (arXiv:1912.08193) for instances, on the zoo's Mask R-CNN: another mask head."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.projects.point_rend import ConvFCHead, PointRendMaskHead, StandardPointHead

model.roi_heads.update(
    train_on_pred_boxes=True,
    mask_pooler=None,  # the head reads the maps itself, at points
    mask_head=L(PointRendMaskHead)(
        input_shape={
            name: ShapeSpec(channels=256, stride=stride)
            for name, stride in [("p2", 4), ("p3", 8), ("p4", 16), ("p5", 32)]
        },
        roi_pooler_in_features=["p2"],
        roi_pooler_size=14,
        coarse_head=L(ConvFCHead)(
            input_shape=ShapeSpec(channels=256, height=14, width=14),
            conv_dim=256,
            fc_dims=[1024, 1024],
            output_shape=[ref("....num_classes"), 7, 7],
        ),
        mask_point_in_features=["p2"],
        point_head=L(StandardPointHead)(
            input_shape=ShapeSpec(channels=256), num_classes=ref("...num_classes"), fc_dims=[256, 256, 256]
        ),
        mask_point_train_num_points=14 * 14,
        mask_point_oversample_ratio=3,
        mask_point_importance_sample_ratio=0.75,
        mask_point_subdivision_steps=5,
        mask_point_subdivision_num_points=28 * 28,
    ),
)
