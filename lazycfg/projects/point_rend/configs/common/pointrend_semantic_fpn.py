"""PointRend (arXiv:1912.08193) for pixels, on the zoo's semantic head of a feature pyramid."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.models.semantic_fpn import model
from lazycfg.projects.point_rend import PointRendSemSegHead, StandardPointHead

model.sem_seg_head = L(PointRendSemSegHead)(
    coarse_sem_seg_head=model.sem_seg_head,
    point_head=L(StandardPointHead)(
        input_shape=ShapeSpec(channels=256),
        num_classes=ref("..coarse_sem_seg_head.num_classes"),
        fc_dims=[256, 256, 256],
        coarse_pred_each_layer=False,
    ),
    in_features=["p2"],
    train_num_points=1024,
    oversample_ratio=3,
    importance_sample_ratio=0.75,
    subdivision_steps=2,
    subdivision_num_points=8192,
)
