"""Containers for batches of images, boxes, masks, keypoints and meshes."""

from lazycfg.structures.bit_masks import BitMasks
from lazycfg.structures.box_mode import BoxMode
from lazycfg.structures.boxes import (
    Boxes,
    matched_pairwise_iou,
    pairwise_intersection,
    pairwise_ioa,
    pairwise_iou,
    pairwise_point_box_distance,
)
from lazycfg.structures.image_list import ImageList
from lazycfg.structures.instances import Instances
from lazycfg.structures.interop import (
    from_fiftyone,
    from_supervision,
    from_torchvision,
    to_fiftyone,
    to_supervision,
    to_torchvision,
)
from lazycfg.structures.keypoints import Keypoints, heatmaps_to_keypoints
from lazycfg.structures.meshes import Meshes
from lazycfg.structures.obj_files import MeshFileError, load_obj, save_obj
from lazycfg.structures.pasting import MaskCrop, paste_masks_in_boxes, paste_masks_in_image
from lazycfg.structures.polygon_masks import PolygonMasks
from lazycfg.structures.rasterize import polygons_to_bitmask, rasterize_polygons_within_box
from lazycfg.structures.roi_masks import ROIMasks
from lazycfg.structures.rotated_boxes import RotatedBoxes
from lazycfg.structures.rotated_overlap import matched_iou_rotated, pairwise_iou_rotated

__all__ = [
    "BitMasks",
    "BoxMode",
    "Boxes",
    "ImageList",
    "Instances",
    "Keypoints",
    "MaskCrop",
    "MeshFileError",
    "Meshes",
    "PolygonMasks",
    "ROIMasks",
    "RotatedBoxes",
    "from_fiftyone",
    "from_supervision",
    "from_torchvision",
    "heatmaps_to_keypoints",
    "load_obj",
    "matched_iou_rotated",
    "matched_pairwise_iou",
    "pairwise_intersection",
    "pairwise_ioa",
    "pairwise_iou",
    "pairwise_iou_rotated",
    "pairwise_point_box_distance",
    "paste_masks_in_boxes",
    "paste_masks_in_image",
    "polygons_to_bitmask",
    "rasterize_polygons_within_box",
    "save_obj",
    "to_fiftyone",
    "to_supervision",
    "to_torchvision",
]
