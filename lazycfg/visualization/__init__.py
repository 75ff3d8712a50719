"""Drawing predictions and ground truth on images."""

from .canvas import Canvas, as_rgb
from .charts import draw_analysis
from .colors import colormap
from .drawing import draw_ground_truth, draw_instances, draw_panoptic_seg, draw_sem_seg
from .side_by_side import side_by_side
from .visualizer import VisImage, Visualizer

__all__ = [
    "Canvas",
    "VisImage",
    "Visualizer",
    "as_rgb",
    "colormap",
    "draw_analysis",
    "draw_ground_truth",
    "draw_instances",
    "draw_panoptic_seg",
    "draw_sem_seg",
    "side_by_side",
]
