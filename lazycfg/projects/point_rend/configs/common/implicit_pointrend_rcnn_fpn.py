"""Implicit PointRend (arXiv:2104.06404), on the zoo's Mask R-CNN: the parameters of the head that classifies
points are predicted for each object."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.projects.point_rend import ConvFCHead, ImplicitPointHead, ImplicitPointRendMaskHead

model.roi_heads.update(
    mask_pooler=None,  # the head reads the maps itself, at points
    mask_head=L(ImplicitPointRendMaskHead)(
        input_shape={
            name: ShapeSpec(channels=256, stride=stride)
            for name, stride in [("p2", 4), ("p3", 8), ("p4", 16), ("p5", 32)]
        },
        roi_pooler_in_features=["p2"],
        roi_pooler_size=14,
        point_head=L(ImplicitPointHead)(
            input_shape=ShapeSpec(channels=256), num_classes=ref("...num_classes"), channels=256, num_fc=3
        ),
        parameter_head=L(ConvFCHead)(
            input_shape=ShapeSpec(channels=256, height=14, width=14),
            conv_dim=256,
            fc_dims=[1024, 1024],
            output_shape=None,  # see below
        ),
        mask_point_in_features=["p2"],
        mask_point_train_num_points=14 * 14,
        mask_point_subdivision_steps=3,
        mask_point_subdivision_num_points=28 * 28,
        regularizer=1e-5,
    ),
)
model.roi_heads.mask_head.parameter_head.output_shape = [
    L.attr(model.roi_heads.mask_head.point_head, "num_params")
]
