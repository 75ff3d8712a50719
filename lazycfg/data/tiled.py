"""A dataset of the tiles of large images."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

from lazycfg.structures import BoxMode
from lazycfg.structures.rle import encode_mask
from lazycfg.utils.tiles import check_tiling, tile_boxes

from .datasets.base import DatasetWrapper, Record, get_annotations, get_image_sizes
from .detection_utils import transform_annotations
from .image import MAX_IMAGE_PIXELS, ImageError, image_to_tensor, read_image
from .transforms import CropTransform


class TiledDataset(DatasetWrapper):
    """The overlapping tiles of the images of a dataset, each a record of its own: to train on large images at
    their full size, as `TiledInference` looks at them.

    Annotations are cut at the border of a tile; areas are no longer given. A tile's "image_id" is text,
    "ID_X_Y" with its upper left corner, and its "file_name" "NAME_X_Y.SUFFIX", for messages.
    `FilteredDataset` around it leaves out tiles without objects.

    Every tile is cut out of its whole image, which is read again for each; with a sampler that goes through
    them in order (or on disk, by `export_coco`) that can be spared.

    Args:
        dataset: of records with boxes; label maps are not cut.
        slice_size: (height, width) of a tile in pixels, or one number for both.
        overlap: part of a tile that the next one covers again, for (height, width) or for both.
        min_area_ratio: leave out objects of which a smaller part of the box than this is in the tile;
            rotated boxes are kept whole where their middle is in it.
        max_image_pixels: see `read_image`.
        image_format: "raw" keeps all channels and values of the files; a mapper whose `image_format` is "raw"
            needs it, as it gets the pixels from here.
        value_range: for "RGB", see `read_image`; with "raw" it is the mapper's.
        reader: see `DatasetMapper`.

    Raises:
        ValueError: an argument without meaning.
    """

    validated = DatasetWrapper.dataset_validated

    def __init__(
        self,
        *,
        dataset: Any,
        slice_size: int | tuple[int, int] = 512,
        overlap: float | tuple[float, float] = 0.2,
        min_area_ratio: float = 0.1,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        image_format: Literal["RGB", "raw"] = "RGB",
        value_range: tuple[float, float] | None = None,
        reader: Callable[[str], np.ndarray | torch.Tensor] | None = None,
    ) -> None:
        super().__init__(dataset=dataset)
        self.slice_size, self.overlap = check_tiling("TiledDataset", slice_size, overlap)
        if not 0 <= min_area_ratio <= 1:
            raise ValueError(f"TiledDataset: min_area_ratio must lie in [0, 1], got {min_area_ratio}")
        if image_format not in ("RGB", "raw"):
            raise ValueError(f'TiledDataset: image_format must be "RGB" or "raw", got {image_format!r}')
        if image_format == "raw" and value_range is not None:
            raise ValueError(
                'TiledDataset: value_range with image_format="raw" is the mapper\'s: give it there'
            )
        self.image_format: Literal["RGB", "raw"] = image_format
        self.value_range = value_range
        self.reader = reader
        self.min_area_ratio = min_area_ratio
        self.max_image_pixels = max_image_pixels
        places = lru_cache(lambda h, w: np.array(tile_boxes(h, w, self.slice_size, self.overlap)))
        tiles = [places(h, w) for h, w in get_image_sizes(dataset).tolist()]
        self.tiles = np.concatenate([np.zeros((0, 4), np.int64), *tiles])
        self.owners = np.repeat(np.arange(len(tiles)), [len(t) for t in tiles])

    @property
    def source_indices(self) -> np.ndarray:
        """Return (N,) int64, the record of the other dataset that each record is made of."""
        return self.owners

    @property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width of the tiles in pixels."""
        return np.stack((self.tiles[:, 3] - self.tiles[:, 1], self.tiles[:, 2] - self.tiles[:, 0]), axis=1)

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> Record:
        record = dict(self.dataset[int(self.owners[index])])
        image = self._image(record)
        x0, y0, x1, y1 = self.tiles[index].tolist()
        tile = image[:, y0:y1, x0:x1].permute(1, 2, 0).contiguous().numpy()
        return {**self._cut(record, index), "image": tile}

    def _image(self, record: Record) -> torch.Tensor:
        """Return the whole image of a record, (C, H, W)."""
        if "image" in record:
            return image_to_tensor(record["image"], self.image_format)
        if self.reader is not None:
            return image_to_tensor(self.reader(os.fspath(record["file_name"])), self.image_format)
        try:
            return read_image(
                record["file_name"],
                self.image_format,
                max_pixels=self.max_image_pixels,
                value_range=self.value_range,
            )
        except ImageError as error:
            error.add_note(
                "TiledDataset reads the images of its tiles: image_format= and value_range= are its own"
            )
            raise

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image."""
        return self._cut(get_annotations(self.dataset, int(self.owners[index])), index)

    def _cut(self, record: Record, index: int) -> Record:
        """Return the record of a tile without its image."""
        lost = [key for key in ("sem_seg", "sem_seg_file_name", "pan_seg_file_name") if key in record]
        if lost:
            raise ValueError(f"TiledDataset cuts boxes, masks and keypoints; a record has {lost[0]!r} too")
        x0, y0, x1, y1 = self.tiles[index].tolist()
        result = {k: v for k, v in record.items() if k not in ("image", "annotations")}
        result |= {"height": y1 - y0, "width": x1 - x0}
        if "file_name" in record:
            path, suffix = os.path.splitext(record["file_name"])
            result["file_name"] = f"{path}_{x0}_{y0}{suffix}"
        if "image_id" in record:
            result["image_id"] = f"{record['image_id']}_{x0}_{y0}"
        if "annotations" in record:
            result["annotations"] = self._annotations(record["annotations"], (x0, y0, x1, y1))
        return result

    def _annotations(
        self, annotations: list[dict[str, Any]], tile: tuple[int, int, int, int]
    ) -> list[dict[str, Any]]:
        x0, y0, x1, y1 = tile
        before = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in annotations]
        boxes = np.array(before, dtype=np.float64).reshape(-1, 4)
        inside = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
        share = _areas(inside) / np.maximum(_areas(boxes), 1e-9)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        is_rotated = np.array([a["bbox_mode"] == BoxMode.XYWHA_ABS for a in annotations], dtype=bool)
        has_middle = ((middle >= [x0, y0]) & (middle < [x1, y1])).all(axis=1)
        kept = np.where(is_rotated, has_middle, (share > 0) & (share >= self.min_area_ratio))
        crop = CropTransform(x0, y0, x1 - x0, y1 - y0)
        size = (y1 - y0, x1 - x0)
        result = []
        for rotated in (False, True):
            chosen = [a for a, k, r in zip(annotations, kept, is_rotated, strict=True) if k and r == rotated]
            result += transform_annotations(chosen, crop, size, mask_format="bitmask", rotated=rotated)
        return [_as_in_records(a) for a in result]


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _as_in_records(annotation: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation with lists and run lengths in the place of arrays."""
    annotation.pop("area", None)
    annotation["bbox"] = [float(v) for v in annotation["bbox"]]
    if "keypoints" in annotation:
        annotation["keypoints"] = [float(v) for v in np.asarray(annotation["keypoints"]).reshape(-1)]
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, np.ndarray):
        segmentation = encode_mask(segmentation) if segmentation.any() else []
    elif segmentation is not None:
        segmentation = [[float(v) for v in polygon] for polygon in segmentation]
    if segmentation is not None:
        annotation["segmentation"] = segmentation
        if not segmentation:  # its box reaches into the tile, its mask does not
            del annotation["segmentation"]
            annotation["unusable"] = {**annotation.get("unusable", {}), "segmentation": "outside the tile"}
    return annotation
