"""DeepLab v3+ (arXiv:1802.02611): `deeplab_v3.py` with a decoder that adds the map of stride 4."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import DeepLabV3PlusHead

from .deeplab_v3 import model

model.backbone.out_features = ["res2", "res5"]
model.sem_seg_head = L(DeepLabV3PlusHead)(
    input_shape=dict(
        res2=L(ShapeSpec)(channels=256, stride=4),
        res5=L(ShapeSpec)(channels=2048, stride=16),
    ),
    project_channels=[48],
    aspp_dilations=[6, 12, 18],
    aspp_dropout=0.1,
    decoder_channels=[256, 256],
    common_stride=4,
    norm="SyncBN",
    # As the images are cropped. None: pool over the whole image, whatever its size
    train_size=(512, 1024),
    loss_weight=1.0,
    loss_type="hard_pixel_mining",
    ignore_value=255,
    num_classes=19,
    use_depthwise_separable_conv=False,
)
