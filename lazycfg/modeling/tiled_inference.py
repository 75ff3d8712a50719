"""Large images in tiles: a model looks at overlapping parts, and what it finds is merged."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import batched_nms, batched_nms_ios, batched_nms_rotated
from lazycfg.structures import Boxes, Instances, ROIMasks, RotatedBoxes
from lazycfg.utils.tiles import check_tiling, tile_boxes

from .batched_instances import check_batch
from .meta_arch.rcnn import output_sizes
from .postprocessing import postprocess_batch

__all__ = ["TiledInference"]

MatchMetric = Literal["IOU", "IOS"]
Tile = tuple[int, int, int, int]


class ImageResize(Protocol):
    """As `lazycfg.data.transforms.ResizeShortestEdge`."""

    def get_transform(self, image: Tensor, rng: np.random.Generator) -> Any:
        """Return an object with ``apply_image`` for an image (C, H, W)."""
        ...


class TiledInference(nn.Module):
    """A detector that looks at overlapping tiles of each image, for objects that are small in a large image
    (Akyon et al., "Slicing Aided Hyper Inference", arXiv:2202.06934); in place of the model.

        model = L(TiledInference)(model=model, slice_size=640, resize=L(T.ResizeShortestEdge)(800, 1333))
        dataloader.test.mapper.augmentations = []  # tiles are made of the original pixels

    Detections of all tiles, and of the whole image if wanted, are merged by NMS. Masks, keypoints and further
    fields stay with the box that they were found with, in pixels of the whole image. In training the model
    gets its batches as they are.

    Weights of the model itself load into it (`load_weights` finds the prefix).

    Args:
        model: any model that gives {"instances": ...} for each image, with ``pred_boxes``, ``scores`` and
            ``pred_classes``.
        slice_size: (height, width) of a tile in pixels, or one number for both.
        overlap: part of a tile that the next one covers again, for (height, width) or for both.
        full_image: look at the whole image, too, where it is larger than a tile: for large objects.
        match_metric: "IOS", intersection over the smaller of two boxes, by which parts of an object at the
            border of a tile go; or "IOU" (for rotated boxes always this).
        match_threshold: boxes that overlap one of a higher score by more than this are dropped.
        class_agnostic: whether boxes of different classes drop each other.
        max_detections: keep the best so many of an image; None for all.
        batch_size: tiles the model sees at a time. Only tiles of one size share a batch.
        resize: of each tile before the model sees it, as the mapper's augmentation in the config; None: as
            it is.

    Raises:
        ValueError: an argument without meaning.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        slice_size: int | tuple[int, int] = 512,
        overlap: float | tuple[float, float] = 0.2,
        full_image: bool = True,
        match_metric: MatchMetric = "IOS",
        match_threshold: float = 0.5,
        class_agnostic: bool = False,
        max_detections: int | None = None,
        batch_size: int = 4,
        resize: ImageResize | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.slice_size, self.overlap = check_tiling(name, slice_size, overlap)
        if match_metric not in get_args(MatchMetric):
            raise ValueError(f'{name}: match_metric must be "IOU" or "IOS", got {match_metric!r}')
        if not 0 <= match_threshold <= 1:
            raise ValueError(f"{name}: match_threshold must lie in [0, 1], got {match_threshold}")
        for key, value in (("batch_size", batch_size), ("max_detections", max_detections)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: {key} must be at least 1, got {value}")
        if resize is not None and not hasattr(resize, "get_transform"):
            raise ValueError(f"{name}: resize must be an augmentation, got {resize!r}")
        self.model = model
        self.full_image = full_image
        self.match_metric = match_metric
        self.match_threshold = match_threshold
        self.class_agnostic = class_agnostic
        self.max_detections = max_detections
        self.batch_size = batch_size
        self.resize = resize

    @property
    def input_format(self) -> str | None:
        """Return the order of the channels that the model wants, None where it does not say."""
        return getattr(self.model, "input_format", None)

    @property
    def device(self) -> torch.device:
        """Return the device of the parameters."""
        return next(self.model.parameters()).device

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return the losses of the model in training, else the merged detections of each image.

        Args:
            batched_inputs: per image a dict with "image" (C, H, W); optionally "height" and "width" of the
                output.

        Returns:
            At inference per image {"instances": `Instances`}, best first.

        Raises:
            TypeError: the model gives something else than instances, which cannot be merged.
        """
        return self.model(batched_inputs) if self.training else self.inference(batched_inputs)

    @torch.no_grad()
    def inference(self, batched_inputs: Sequence[dict[str, Any]]) -> list[dict[str, Instances]]:
        """See `forward`."""
        tiles = [self.tiles(x["image"]) for x in batched_inputs]
        work = [(i, tile) for i, own in enumerate(tiles) for tile in own]
        by_shape: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, (_, (x0, y0, x1, y1)) in enumerate(work):
            by_shape[y1 - y0, x1 - x0].append(number)
        found: dict[int, Instances] = {}
        with self._small_masks():
            for same in by_shape.values():
                for start in range(0, len(same), self.batch_size):
                    part = same[start : start + self.batch_size]
                    inputs = [self._input(batched_inputs[work[n][0]], work[n][1]) for n in part]
                    instances = [self._instances(output) for output in self.model(inputs)]
                    check_batch(instances, len(part), "the detections of the model")
                    found.update(zip(part, instances, strict=True))
        results, first = [], 0
        for x, own in zip(batched_inputs, tiles, strict=True):
            size = (int(x["image"].shape[-2]), int(x["image"].shape[-1]))
            results.append(self._merge([found[first + i] for i in range(len(own))], own, size))
            first += len(own)
        return self._to_output_size(results, batched_inputs)

    def tiles(self, image: Tensor) -> list[Tile]:
        """Return the tiles (x0, y0, x1, y1) of an image (C, H, W), and last the whole if it is looked at."""
        height, width = (int(side) for side in image.shape[-2:])
        tiles = tile_boxes(height, width, self.slice_size, self.overlap)
        return [*tiles, (0, 0, width, height)] if self.full_image and len(tiles) > 1 else tiles

    def _input(self, x: dict[str, Any], tile: Tile) -> dict[str, Any]:
        x0, y0, x1, y1 = tile
        image = x["image"][..., y0:y1, x0:x1]
        if self.resize is not None:
            image = self.resize.get_transform(image, np.random.default_rng(0)).apply_image(image)
        names = {key: x[key] for key in ("file_name", "image_id") if key in x}
        return {**names, "image": image, "height": y1 - y0, "width": x1 - x0}

    @contextmanager
    def _small_masks(self) -> Iterator[None]:
        """Let the model leave its masks in their boxes: those of the merged detections are pasted later."""
        paste = getattr(self.model, "paste_masks", None)
        if not paste:
            yield
            return
        model: Any = self.model
        try:
            model.paste_masks = False
            yield
        finally:
            model.paste_masks = paste

    def _instances(self, output: Any) -> Instances:
        """Return the detections of a tile.

        Raises:
            TypeError: there are none, or other things that would be lost.
        """
        if not isinstance(output, dict) or set(output) != {"instances"}:
            gives = ", ".join(map(repr, output)) if isinstance(output, dict) else type(output).__name__
            raise TypeError(
                f"TiledInference merges the 'instances' of tiles; {type(self.model).__name__} gives {gives}"
            )
        found: Instances = output["instances"]
        for key in ("pred_boxes", "scores", "pred_classes"):
            if not found.has(key):
                raise TypeError(
                    f"TiledInference: the detections of {type(self.model).__name__} have no {key}"
                )
        return found

    def _merge(self, found: Sequence[Instances], tiles: Sequence[Tile], size: tuple[int, int]) -> Instances:
        """Merge the detections of the tiles of one image of (height, width)."""
        found = [x[x.pred_boxes.nonempty()] for x in found]
        merged = Instances.cat([_moved(x, tile, size) for x, tile in zip(found, tiles, strict=True)])
        boxes = merged.pred_boxes.tensor.float()
        classes = torch.zeros_like(merged.pred_classes) if self.class_agnostic else merged.pred_classes
        if isinstance(merged.pred_boxes, RotatedBoxes):
            kept = batched_nms_rotated(boxes, merged.scores, classes, self.match_threshold)
        elif self.match_metric == "IOS":
            kept = batched_nms_ios(boxes, merged.scores, classes, self.match_threshold)
        else:
            kept = batched_nms(boxes, merged.scores, classes, self.match_threshold)
        kept = kept[: self.max_detections]
        merged = merged[kept]
        masks = [x.get_fields().get("pred_masks") for x in found]
        if any(isinstance(x, Tensor) for x in masks):
            merged.pred_masks = _whole_masks(masks, tiles, size, kept)
        return merged

    def _to_output_size(
        self, results: Sequence[Instances], batched_inputs: Sequence[dict[str, Any]]
    ) -> list[dict[str, Instances]]:
        """Scale merged detections to the (height, width) of the outputs, and paste masks that are small."""
        sizes = output_sizes(batched_inputs, [x.image_size for x in results])
        masks_of = [x.get_fields().get("pred_masks") for x in results]
        whole = {i: masks for i, masks in enumerate(masks_of) if isinstance(masks, Tensor)}
        for i in whole:
            results[i].remove("pred_masks")
        paste = bool(getattr(self.model, "paste_masks", False))
        out = postprocess_batch(results, sizes, paste_masks=paste)
        for i, masks in whole.items():
            if tuple(masks.shape[-2:]) != sizes[i]:
                scaled = F.interpolate(masks[None].to(torch.uint8), size=sizes[i], mode="nearest-exact")
                masks = scaled[0].to(masks.dtype)
            out[i].pred_masks = masks
        return [{"instances": x} for x in out]


def _moved(found: Instances, tile: Tile, size: tuple[int, int]) -> Instances:
    """Return the detections of a tile in pixels of the image of (height, width), but for whole masks.

    Raises:
        TypeError: a field that is no tensor, and may hold positions in the tile.
    """
    moved = Instances(size)
    shift = found.scores.new_tensor([tile[0], tile[1]])
    for name, value in found.get_fields().items():
        if isinstance(value, Boxes):
            moved.set(name, Boxes(value.tensor + shift.repeat(2)))
        elif isinstance(value, RotatedBoxes):
            moved.set(
                name, RotatedBoxes(torch.cat((value.tensor[:, :2] + shift, value.tensor[:, 2:]), dim=1))
            )
        elif name == "pred_keypoints" and isinstance(value, Tensor):
            moved.set(name, torch.cat((value[..., :2] + shift, value[..., 2:]), dim=-1))
        elif isinstance(value, ROIMasks) or (isinstance(value, Tensor) and name != "pred_masks"):
            moved.set(name, value)
        elif name != "pred_masks" or not isinstance(value, Tensor):
            raise TypeError(
                f"TiledInference keeps further fields of detections that are tensors; {name!r} is a "
                f"{type(value).__name__}, which may hold positions in its tile"
            )
    return moved


def _whole_masks(
    masks: Sequence[Tensor], tiles: Sequence[Tile], size: tuple[int, int], kept: Tensor
) -> Tensor:
    """Return masks (K, H, W) of the image of (height, width), of masks (N_i, h_i, w_i) of its tiles.

    Args:
        kept: (K,) which of all the masks.
    """
    out = masks[0].new_zeros((len(kept), *size))
    first = 0
    for own, (x0, y0, x1, y1) in zip(masks, tiles, strict=True):
        rows = ((kept >= first) & (kept < first + len(own))).nonzero().flatten()
        out[rows, y0:y1, x0:x1] = own[kept[rows] - first]
        first += len(own)
    return out
