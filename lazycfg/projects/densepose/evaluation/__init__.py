"""How good predictions of DensePose are."""

from .densepose_coco import DensePoseCOCOEvaluator
from .likeness import ChartLikeness, EmbeddingLikeness
from .mesh_alignment import MeshAlignmentEvaluator, read_keyvertices
from .surface import ChartSurface

__all__ = [
    "ChartLikeness",
    "ChartSurface",
    "DensePoseCOCOEvaluator",
    "EmbeddingLikeness",
    "MeshAlignmentEvaluator",
    "read_keyvertices",
]
