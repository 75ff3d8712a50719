"""The quickstart with another box predictor: one call replaced, all else unchanged."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, model, optimizer, train
from lazycfg.modeling import Box2BoxTransform
from lazycfg.projects.write_models import MyRCNNOutput

model.roi_heads.box_predictor = L(MyRCNNOutput)(
    input_shape=ShapeSpec(channels=256),
    box2box_transform=L(Box2BoxTransform)(weights=(10, 10, 5, 5)),
    num_classes="${..num_classes}",
    test_score_thresh=0.05,
    gamma=1.0,
)
train.output_dir = "./output/my_rcnn_output"
