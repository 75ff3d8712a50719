"""Test-time augmentation: one answer out of what a model sees in several views of an image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.structures import Boxes, Instances

from .batched_instances import cat_field, check_batch, field_names
from .meta_arch.panoptic_fpn import PanopticFPN
from .meta_arch.panoptic_merge import combine_semantic_and_instance_outputs
from .meta_arch.rcnn import GeneralizedRCNN, output_sizes
from .postprocessing import sem_seg_postprocess
from .roi_heads.detections import fast_rcnn_inference
from .roi_heads.keypoint_head import keypoint_rcnn_inference
from .tta_views import DatasetMapperTTA, ViewTransform, move_boxes

__all__ = ["DatasetMapperTTA", "GeneralizedRCNNWithTTA"]

Inputs = Sequence[dict[str, Any]]


class GeneralizedRCNNWithTTA(nn.Module):
    """A two-stage detector that looks at several views of each image; for inference, in place of the model.

        model = L(GeneralizedRCNNWithTTA)(model=model, tta_mapper=L(DatasetMapperTTA)(flip=True))
        dataloader.test.mapper.augmentations = []  # the views are made of the original pixels

    The boxes found in all views are merged by NMS, with the threshold and the number of detections of the
    model's own predictor. Masks and keypoints of the merged boxes are then predicted in every view, and
    averaged: masks as probabilities, keypoints and semantic maps as logits (of keypoints, the heatmaps over
    the box).

    Weights of the model itself load into it (`load_weights` finds the prefix).

    Args:
        model: a `GeneralizedRCNN` with any heads that detect upright boxes, or a `PanopticFPN`.
        tta_mapper: an input dict -> a list of views, as `DatasetMapperTTA`; by default that.
        batch_size: views the model sees at a time. Only views of one size share a batch, so that no padding
            comes between them and the answer does not depend on this number.
        keypoint_hflip_indices: (K,) which keypoint takes the place of which when an image is mirrored, as
            the mapper of the training data has it; needed for keypoints and mirror images.

    Raises:
        TypeError: the model is of another kind.
    """

    branches: tuple[str, ...] = ("mask_on", "keypoint_on")
    """Attributes of the heads that switch off what looks at the merged boxes later. A subclass for heads with
    a further branch adds to them, and to `_fill_in`."""

    def __init__(
        self,
        *,
        model: GeneralizedRCNN,
        tta_mapper: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        batch_size: int = 3,
        keypoint_hflip_indices: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, GeneralizedRCNN):
            raise TypeError(
                f"GeneralizedRCNNWithTTA is for GeneralizedRCNN and PanopticFPN, not for "
                f"{type(model).__name__}: it merges boxes and asks the model's heads about the merged ones"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        self.model = model
        self.tta_mapper = DatasetMapperTTA() if tta_mapper is None else tta_mapper
        self.batch_size = batch_size
        self.keypoint_hflip_indices = None if keypoint_hflip_indices is None else list(keypoint_hflip_indices)
        heads = model.roi_heads
        if getattr(heads, "keypoint_on", False) and getattr(self.tta_mapper, "flip", False):
            self._check_keypoints(getattr(heads.keypoint_head, "num_keypoints", None))

    @property
    def input_format(self) -> str | None:
        """Return the order of channels that the model expects, such as "BGR"."""
        return self.model.input_format

    @property
    def device(self) -> torch.device:
        """Return the device of the model."""
        return self.model.device

    def forward(self, batched_inputs: Inputs) -> list[dict[str, Any]]:
        """Detect in several views of each image, and merge the detections.

        Args:
            batched_inputs: as the model takes them; "height" and "width" are those of the original, which
                the result is for.

        Returns:
            As the model returns it.

        Raises:
            RuntimeError: the model is in training mode.
        """
        if self.training:
            raise RuntimeError(
                "GeneralizedRCNNWithTTA is for inference: call eval() first, and train the model without it"
            )
        return self.inference(batched_inputs)

    @torch.no_grad()
    def inference(self, batched_inputs: Inputs) -> list[dict[str, Any]]:
        """See `forward`."""
        if not len(batched_inputs):
            return []
        views, counts = self._views(batched_inputs)
        transforms = [ViewTransform.of(view["transforms"]) for view in views]
        image_sizes = [(int(x["image"].shape[-2]), int(x["image"].shape[-1])) for x in batched_inputs]
        sizes = output_sizes(batched_inputs, image_sizes)
        with self._without(self.branches):
            found, logits = self._run(views)
        merged = self._merge(found, transforms, counts, sizes)
        self._fill_in(merged, views, transforms, counts)
        whole = isinstance(self.model, PanopticFPN) or self.model.paste_masks
        options = {} if whole else {"paste_masks": False}
        in_output_size = [
            {**x, "height": height, "width": width}
            for x, (height, width) in zip(batched_inputs, sizes, strict=True)
        ]
        outputs: list[dict[str, Any]] = self.model._postprocess(merged, in_output_size, sizes, **options)
        if isinstance(self.model, PanopticFPN):
            for output, part, size in zip(outputs, slices(counts), sizes, strict=True):
                self._add_semantics(output, logits[part], views[part], transforms[part], size)
        return outputs

    def _views(self, batched_inputs: Inputs) -> tuple[list[dict[str, Any]], list[int]]:
        """Return the views of all images, those of an image together, and how many each has."""
        views, counts = [], []
        for x in batched_inputs:
            if "image" not in x:
                raise ValueError(f"an input has no 'image' (it has {', '.join(x)}): is there a mapper?")
            of_image = self.tta_mapper({**x, "image": x["image"].to(self.device, non_blocking=True)})
            if not of_image:
                raise ValueError(f"the tta_mapper {self.tta_mapper!r} makes no views")
            views += [move_proposals(x, view) for view in of_image]
            counts.append(len(of_image))
        return views, counts

    def _run(
        self, views: Inputs, detected: Sequence[Instances] | None = None
    ) -> tuple[list[Instances], list[Tensor]]:
        """Per view what the model finds in it, in pixels of the view, and semantic logits (if it has any).

        Args:
            detected: boxes to take instead of detecting them.
        """
        by_size: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, view in enumerate(views):
            by_size[tuple(view["image"].shape)].append(i)
        results: dict[int, Instances] = {}
        logits: dict[int, Tensor] = {}
        for same in by_size.values():
            for start in range(0, len(same), self.batch_size):
                part = same[start : start + self.batch_size]
                inputs = [views[i] for i in part]
                if detected is not None:
                    given = [detected[i] for i in part]
                    # Even of a PanopticFPN: what its semantic head sees is known already
                    out = GeneralizedRCNN.inference(self.model, inputs, given, do_postprocess=False)
                else:
                    out = self.model.inference(inputs, do_postprocess=False)
                    if isinstance(self.model, PanopticFPN):
                        out, semantic = out
                        logits.update(zip(part, semantic, strict=True))
                check_batch(out, len(part), "the detections of the model")
                results.update(zip(part, out, strict=True))
        return [results[i] for i in range(len(views))], [logits[i] for i in range(len(logits))]

    @contextmanager
    def _without(self, branches: Sequence[str]) -> Iterator[None]:
        """Without these branches of the heads."""
        heads: Any = self.model.roi_heads
        on = {name: getattr(heads, name) for name in branches if hasattr(heads, name)}
        try:
            for name in on:
                setattr(heads, name, False)
            yield
        finally:
            for name, value in on.items():
                setattr(heads, name, value)

    def _merge(
        self,
        found: Sequence[Instances],
        transforms: Sequence[ViewTransform],
        counts: Sequence[int],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Merge the boxes of all views of each image, moved to the original, by NMS."""
        for x in found:
            if not isinstance(x.pred_boxes, Boxes):
                kind = type(x.pred_boxes).__name__
                raise TypeError(f"GeneralizedRCNNWithTTA merges upright boxes; the heads predict {kind}")
        per_view = [len(x) for x in found]
        boxes = move_boxes(cat_field(found, "pred_boxes"), [t.inverse() for t in transforms], per_view)
        classes, scores = cat_field(found, "pred_classes"), cat_field(found, "scores")
        num_classes, nms_thresh, topk = self._limits()
        table = scores.new_zeros((len(scores), num_classes + 1))  # the last column is the background
        table.scatter_(1, classes[:, None], scores[:, None])
        per_image = [sum(per_view[part]) for part in slices(counts)]
        merged, rows = fast_rcnn_inference(
            boxes.split(per_image), table.split(per_image), sizes, 1e-8, nms_thresh, topk
        )
        for name in further_fields(found):
            values = cat_field(found, name).split(per_image)
            for x, value, own in zip(merged, values, rows, strict=True):
                x.set(name, value[own])
        return merged

    def _limits(self) -> tuple[int, float, int]:
        """Number of classes, overlap of the NMS and detections of an image, as the model itself has them."""
        heads: Any = self.model.roi_heads
        predictor: Any = getattr(heads, "box_predictor", None)
        if isinstance(predictor, nn.ModuleList):
            predictor = predictor[-1]
        try:
            return heads.num_classes, predictor.test_nms_thresh, predictor.test_topk_per_image
        except AttributeError as error:
            raise TypeError(
                "GeneralizedRCNNWithTTA reads num_classes from the model's roi_heads, and test_nms_thresh "
                f"and test_topk_per_image from their box_predictor: {error}"
            ) from error

    def _fill_in(
        self,
        merged: Sequence[Instances],
        views: Inputs,
        transforms: Sequence[ViewTransform],
        counts: Sequence[int],
    ) -> None:
        """Give the merged boxes masks and keypoints: the means of those in the views."""
        heads: Any = self.model.roi_heads
        masks, keypoints = getattr(heads, "mask_on", False), getattr(heads, "keypoint_on", False)
        if not masks and not keypoints:
            return
        of_view = [x for x, count in zip(merged, counts, strict=True) for _ in range(count)]
        per_view = [len(x) for x in of_view]
        boxes = move_boxes(cat_field(of_view, "pred_boxes"), transforms, per_view).split(per_view)
        detected = [
            Instances(
                tuple(view["image"].shape[-2:]),
                pred_boxes=Boxes(own),
                pred_classes=x.pred_classes,
                scores=x.scores,
            )
            for view, own, x in zip(views, boxes, of_view, strict=True)
        ]
        found, _ = self._run(views, detected)
        for view, own in zip(found, of_view, strict=True):
            if len(view) != len(own):
                raise ValueError(
                    f"test-time augmentation asked the heads about {len(own)} given boxes and got "
                    f"{len(view)}: forward_with_given_boxes must keep the instances that it is given, in "
                    "their order"
                )
        for x, part in zip(merged, slices(counts), strict=True):
            seen, moves = found[part], transforms[part]
            if masks:
                upright = [mirror_back(v.pred_masks, t) for v, t in zip(seen, moves, strict=True)]
                x.pred_masks = torch.stack(upright).mean(dim=0)
            if keypoints:
                maps = [self._upright_heatmaps(v, t) for v, t in zip(seen, moves, strict=True)]
                keypoint_rcnn_inference(torch.stack(maps).mean(dim=0), [x])

    def _upright_heatmaps(self, instances: Instances, transform: ViewTransform) -> Tensor:
        """Return logits (N, K, S, S) as they would be if the view were not mirrored."""
        if not instances.has("pred_keypoint_heatmaps"):
            raise ValueError(
                "test-time augmentation averages 'pred_keypoint_heatmaps', which the keypoint head "
                "does not give"
            )
        maps = mirror_back(instances.pred_keypoint_heatmaps, transform)
        if transform.mirrored[0] == transform.mirrored[1]:  # upside down and mirrored is only turned
            return maps
        indices = self._check_keypoints(maps.shape[1])
        return maps[:, torch.tensor(indices).to(maps.device, non_blocking=True)]

    def _check_keypoints(self, count: int | None) -> list[int]:
        indices = self.keypoint_hflip_indices
        if indices is None:
            raise ValueError(
                "keypoints are mirrored but it is not known which swap: give GeneralizedRCNNWithTTA "
                "keypoint_hflip_indices, as the mapper of the training data has them, or a tta_mapper with "
                "flip=False"
            )
        if count is not None and sorted(indices) != list(range(count)):
            raise ValueError(
                f"keypoint_hflip_indices must be a permutation of the {count} keypoints of the model, "
                f"got {indices}"
            )
        return indices

    def _add_semantics(
        self,
        output: dict[str, Any],
        logits: Sequence[Tensor],
        views: Inputs,
        transforms: Sequence[ViewTransform],
        size: tuple[int, int],
    ) -> None:
        """Average the semantic maps of the views of an image, and add the panoptic map."""
        model: Any = self.model
        total: Tensor | None = None
        for x, view, transform in zip(logits, views, transforms, strict=True):
            height, width = view["image"].shape[-2:]
            own = mirror_back(x[:, :height, :width], transform)
            own = sem_seg_postprocess(own, (height, width), *size)
            total = own if total is None else total.add_(own)
        assert total is not None
        output["sem_seg"] = total / len(logits)
        output["panoptic_seg"] = combine_semantic_and_instance_outputs(
            output["instances"],
            output["sem_seg"].argmax(dim=0),
            model.combine_overlap_thresh,
            model.combine_stuff_area_thresh,
            model.combine_instances_score_thresh,
            num_stuff_classes=len(total),
        )


def further_fields(found: Sequence[Instances]) -> list[str]:
    """Return the names of the fields that a model gives its detections besides the usual ones: they stay with
    the box that was found in a view.

    Raises:
        TypeError: such a field is no tensor. It may hold positions in the view, which are not those in the
            image.
        ValueError: some detections lack the field.
    """
    # Made again for the merged boxes, or merged
    usual = {"pred_boxes", "scores", "pred_classes", "pred_masks", "pred_keypoints", "pred_keypoint_heatmaps"}
    names = [name for name in field_names(found) if name not in usual]
    for name in names:
        for x in found:
            if len(x) and not x.has(name):
                raise ValueError(
                    f"test-time augmentation: the field {name!r} must be in the detections of all views, "
                    "or of none"
                )
            if x.has(name) and not isinstance(x.get(name), Tensor):
                kind = type(x.get(name)).__name__
                raise TypeError(
                    f"test-time augmentation keeps further fields of the detections that are tensors, "
                    f"{name!r} is {kind}: merge it in a subclass of GeneralizedRCNNWithTTA"
                )
    return names


def slices(counts: Sequence[int]) -> list[slice]:
    """Return the range of views of each image."""
    return [slice(a, b) for a, b in pairwise(accumulate(counts, initial=0))]


def mirror_back(maps: Tensor, transform: ViewTransform) -> Tensor:
    """Maps (..., H, W) of a view, unmirrored."""
    dims = [dim for dim, flipped in zip((-1, -2), transform.mirrored, strict=True) if flipped]
    return maps.flip(dims) if dims else maps


def move_proposals(x: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    """Return a view whose "proposals", if its image came with any, are in its own pixels."""
    if "proposals" not in x or view.get("proposals") is not x["proposals"]:
        return view
    proposals = x["proposals"].to(view["image"].device)
    height, width = proposals.image_size
    to_input = ViewTransform((width / int(x.get("width", width)), height / int(x.get("height", height))))
    to_view = ViewTransform.of(view["transforms"])
    original = move_boxes(proposals.proposal_boxes.tensor, [to_input.inverse()], [len(proposals)])
    moved = Instances(tuple(view["image"].shape[-2:]), **proposals.get_fields())
    moved.proposal_boxes = Boxes(move_boxes(original, [to_view], [len(proposals)]))
    return {**view, "proposals": moved}
