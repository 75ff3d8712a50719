"""Draw predictions and ground truth on images and videos."""

from .canvas import Canvas, as_rgb
from .charts import draw_analysis
from .colors import ColorMode, as_color, colormap
from .drawing import draw_ground_truth, draw_instances, draw_panoptic_seg, draw_sem_seg
from .side_by_side import side_by_side
from .video_visualizer import VideoVisualizer
from .visualizer import VisImage, Visualizer

__all__ = [
    "Canvas",
    "ColorMode",
    "VideoVisualizer",
    "VisImage",
    "Visualizer",
    "as_color",
    "as_rgb",
    "colormap",
    "draw_analysis",
    "draw_ground_truth",
    "draw_instances",
    "draw_panoptic_seg",
    "draw_sem_seg",
    "side_by_side",
]
