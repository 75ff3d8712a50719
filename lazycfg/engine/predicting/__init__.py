"""Predictions on images and videos, which are named by files, folders, patterns and URLs, as files."""

from .images import predict_images
from .results import ImageIds, ResultFiles, found_text
from .sources import ImageSource, VideoSource, find_sources, refuse_own_results
from .video import predict_frames, predict_video

__all__ = [
    "ImageIds",
    "ImageSource",
    "ResultFiles",
    "VideoSource",
    "find_sources",
    "found_text",
    "predict_frames",
    "predict_images",
    "predict_video",
    "refuse_own_results",
]
