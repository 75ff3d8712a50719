"""DensePose R-CNN on HRFPN over HRNet-W32: another backbone, whose levels are called p1 to p5."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.projects.densepose import HRFPN, PoseHigherResolutionNet

from .densepose_rcnn_fpn import model

_levels = {f"p{k + 1}": 4 * 2**k for k in range(5)}

model.backbone = L(HRFPN)(
    bottom_up=L(PoseHigherResolutionNet)(width=32),
    in_features=["p1", "p2", "p3", "p4"],
    n_out_features=5,
    out_channels=256,
)
model.proposal_generator.in_features = list(_levels)
model.roi_heads.box_in_features = list(_levels)
model.roi_heads.box_pooler.scales = [1 / stride for stride in _levels.values()]
model.roi_heads.decoder.input_shape = {
    name: ShapeSpec(channels=256, stride=stride) for name, stride in _levels.items()
}
