"""Panoptic FPN (arXiv:1901.02446): a Mask R-CNN and a semantic head on one pyramid."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..postprocessing import sem_seg_postprocess_batch
from .panoptic_merge import combine_semantic_and_instance_batch
from .rcnn import GeneralizedRCNN, output_sizes
from .semantic_segmentor import batch_labels

__all__ = ["PanopticFPN"]


class PanopticFPN(GeneralizedRCNN):
    """`GeneralizedRCNN` with a semantic head; their results are merged to one label per pixel.

    Args:
        sem_seg_head: as `SemSegFPNHead`; its class 0 stands for all things.
        combine_overlap_thresh, combine_stuff_area_thresh, combine_instances_score_thresh: see
            `combine_semantic_and_instance_outputs`.
        kwargs: those of `GeneralizedRCNN`.
    """

    def __init__(
        self,
        *,
        sem_seg_head: nn.Module,
        combine_overlap_thresh: float = 0.5,
        combine_stuff_area_thresh: float = 4096,
        combine_instances_score_thresh: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sem_seg_head = sem_seg_head
        self.combine_overlap_thresh = combine_overlap_thresh
        self.combine_stuff_area_thresh = combine_stuff_area_thresh
        self.combine_instances_score_thresh = combine_instances_score_thresh

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return the losses by name in training, else the result of each image.

        Args:
            batched_inputs: as `GeneralizedRCNN` takes them; in training "sem_seg" (H, W) int64 besides.

        Returns:
            In training the losses by name; at inference as `inference`.
        """
        if not self.training:
            return self.inference(batched_inputs)
        images = self.preprocess_image(batched_inputs)
        targets = batch_labels(batched_inputs, self.backbone, self.sem_seg_head.ignore_value, self.device)
        gt_instances = self.ground_truth(batched_inputs)
        features = self.backbone(images.tensor)
        _, losses = self.sem_seg_head(features, targets)
        return {**losses, **self.detection_losses(batched_inputs, images, features, gt_instances)}

    def inference(
        self,
        batched_inputs: Sequence[dict[str, Any]],
        detected_instances: Sequence[Any] | None = None,
        do_postprocess: bool = True,
    ) -> list[Any]:
        """Predict instances, semantic and panoptic segmentation.

        Returns:
            Per image {"sem_seg": logits (K, height, width), "instances": `Instances`, "panoptic_seg": (map
            (height, width) int32, segments)}; without postprocessing the instances and the logits, two lists
            of the size of the network's input.

        Raises:
            RuntimeError: the model is in training mode.
        """
        if self.training:
            raise RuntimeError("inference in training mode: call model.eval() first")
        if not len(batched_inputs):
            return [] if do_postprocess else [[], []]
        images = self.preprocess_image(batched_inputs)
        features = self.backbone(images.tensor)
        logits, _ = self.sem_seg_head(features)
        results = self.detect(batched_inputs, images, features, detected_instances)
        if not do_postprocess:
            return [results, logits]
        # The merge needs whole masks, whatever is handed out.
        outputs: list[Any] = self._postprocess(results, batched_inputs, images.image_sizes)
        sizes = output_sizes(batched_inputs, images.image_sizes)
        for index, maps in sem_seg_postprocess_batch(logits, images.image_sizes, sizes):
            for i, sem_seg, labels in zip(index, maps, maps.argmax(dim=1), strict=True):
                outputs[i].update(sem_seg=sem_seg, panoptic_seg=labels)
        merged = combine_semantic_and_instance_batch(
            [x["instances"] for x in outputs],
            [x["panoptic_seg"] for x in outputs],
            self.combine_overlap_thresh,
            self.combine_stuff_area_thresh,
            self.combine_instances_score_thresh,
            num_stuff_classes=logits.shape[1],
        )
        for output, panoptic in zip(outputs, merged, strict=True):
            output["panoptic_seg"] = panoptic
        return outputs
