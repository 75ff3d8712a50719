"""Two-stage detectors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances

from ..backbone import Backbone
from ..data_needs import DataNeeds
from ..postprocessing import postprocess_batch
from ..preprocessing import batch_images, instances_to_device
from ..protocols import ProposalGenerator, RegionHeads

__all__ = ["GeneralizedRCNN", "ProposalNetwork"]


class ImageModel(nn.Module):
    """What models that begin with a backbone share: the statistics of pixels, and batching of images.

    Args:
        backbone: a built backbone.
        pixel_mean, pixel_std: of each channel, in the units and the order of the images given.
        input_format: "BGR" or "RGB", the order of the channels, or "raw" (all channels of a file, see
            `read_image`), for those who read and draw images.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
    ) -> None:
        super().__init__()
        if len(pixel_mean) != len(pixel_std):
            raise ValueError(f"pixel_mean has {len(pixel_mean)} channels, pixel_std {len(pixel_std)}")
        self.backbone = backbone
        self.input_format = input_format
        self.register_buffer("pixel_mean", torch.tensor(list(pixel_mean)).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(list(pixel_std)).view(-1, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Return the device of the parameters."""
        return self.pixel_mean.device

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(input_format=self.input_format)

    def preprocess_image(self, batched_inputs: Sequence[dict[str, Any]]) -> ImageList:
        """Return the images of the inputs, normalised and padded, on the device of the model."""
        return batch_images(
            [x["image"] for x in batched_inputs],
            self.pixel_mean,
            self.pixel_std,
            self.backbone.size_divisibility,
            self.backbone.padding_constraints,
        )

    def ground_truth(self, batched_inputs: Sequence[dict[str, Any]]) -> list[Instances] | None:
        """Return the "instances" of the inputs on the device of the model, None if there are none."""
        if not all("instances" in x for x in batched_inputs):
            return None
        return instances_to_device([x["instances"] for x in batched_inputs], self.device)


class GeneralizedRCNN(ImageModel):
    """A two-stage detector: feature maps of a backbone, proposals, and heads on the proposed regions.

    Args:
        backbone: a built backbone.
        proposal_generator: as `RPN`; None if the inputs bring their "proposals".
        roi_heads: as `StandardROIHeads`.
        pixel_mean, pixel_std: of each channel, in the units and the order of the images given.
        input_format: "BGR" or "RGB", for those who read and draw images.
        vis_period: every so many iterations the heads may record images; 0 for never.
        paste_masks: whether predicted masks become whole images. If not, they stay `ROIMasks`, small and
            relative to their boxes, which is enough for evaluation and spares most of the memory.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        proposal_generator: ProposalGenerator | None,
        roi_heads: RegionHeads,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
        vis_period: int = 0,
        paste_masks: bool = True,
    ) -> None:
        super().__init__(
            backbone=backbone, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.proposal_generator = proposal_generator
        self.roi_heads = roi_heads
        self.vis_period = vis_period
        self.paste_masks = paste_masks

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return the losses by name in training, else the result of each image.

        Args:
            batched_inputs: per image a dict with "image" (C, H, W); in training "instances" with
                ``gt_boxes``, ``gt_classes``...; optionally "height" and "width" of the output,
                and "proposals".

        Returns:
            In training the losses by name; at inference per image {"instances": `Instances`} with
            ``pred_boxes``, ``scores``, ``pred_classes``, ``pred_masks``...

        Raises:
            ValueError: an input lacks ``instances`` in training.
        """
        if not self.training:
            return self.inference(batched_inputs)
        images = self.preprocess_image(batched_inputs)
        gt_instances = self.ground_truth(batched_inputs)
        if gt_instances is None:
            raise ValueError("training needs 'instances' in every input; for predictions call model.eval()")
        return self.detection_losses(batched_inputs, images, self.backbone(images.tensor), gt_instances)

    def detection_losses(
        self,
        batched_inputs: Sequence[dict[str, Any]],
        images: ImageList,
        features: dict[str, Tensor],
        gt_instances: Sequence[Instances] | None,
    ) -> dict[str, Tensor]:
        """Return the losses of proposals and heads by name.

        Args:
            batched_inputs: what the model was given.
            images: the batch (N, C, H, W).
            features: maps by name, (N, C_l, H_l, W_l).
            gt_instances: the objects of each image.
        """
        proposals, proposal_losses = self.propose(batched_inputs, images, features, gt_instances)
        _, detector_losses = self.roi_heads(images, features, proposals, gt_instances)
        return {**detector_losses, **proposal_losses}

    def detect(
        self,
        batched_inputs: Sequence[dict[str, Any]],
        images: ImageList,
        features: dict[str, Tensor],
        detected_instances: Sequence[Instances] | None = None,
    ) -> Sequence[Instances]:
        """Return the detections of each image in pixels of the network's input, or what the heads say of
        given ones.

        Args:
            batched_inputs: what the model was given.
            images: the batch (N, C, H, W).
            features: maps by name, (N, C_l, H_l, W_l).
            detected_instances: with ``pred_boxes`` and ``pred_classes``.
        """
        if detected_instances is not None:
            given = [x.to(self.device) for x in detected_instances]
            return self.roi_heads.forward_with_given_boxes(features, given)
        proposals, _ = self.propose(batched_inputs, images, features, None)
        return self.roi_heads(images, features, proposals, None)[0]

    def propose(
        self,
        batched_inputs: Sequence[dict[str, Any]],
        images: ImageList,
        features: dict[str, Tensor],
        gt_instances: Sequence[Instances] | None,
    ) -> tuple[Sequence[Instances], dict[str, Tensor]]:
        """Return the proposals of each image and their losses; those of the inputs where there is no proposal
        generator. Maps are (N, C_l, H_l, W_l).

        Raises:
            ValueError: there is neither a proposal generator nor ``proposals`` in the inputs.
        """
        if self.proposal_generator is not None:
            return self.proposal_generator(images, features, gt_instances)
        if not all("proposals" in x for x in batched_inputs):
            raise ValueError(
                "without a proposal generator every input needs 'proposals': give the data a proposal file "
                "(ProposalsDataset) and its mapper precomputed_proposal_topk"
            )
        return instances_to_device([x["proposals"] for x in batched_inputs], self.device), {}

    def inference(
        self,
        batched_inputs: Sequence[dict[str, Any]],
        detected_instances: Sequence[Instances] | None = None,
        do_postprocess: bool = True,
    ) -> list[Any]:
        """Detect objects in images.

        Args:
            batched_inputs: as `forward` takes them.
            detected_instances: boxes to take instead of detecting them, with ``pred_boxes`` and
                ``pred_classes``: masks and the like are predicted for them.
            do_postprocess: scale the results to the output size.

        Returns:
            As `forward`; without postprocessing per image the `Instances` in the network's input.

        Raises:
            RuntimeError: the model is in training mode.
        """
        if self.training:
            raise RuntimeError("inference in training mode: call model.eval() first")
        if not len(batched_inputs):
            return []
        images = self.preprocess_image(batched_inputs)
        results = self.detect(batched_inputs, images, self.backbone(images.tensor), detected_instances)
        if not do_postprocess:
            return results
        options = {} if self.paste_masks else {"paste_masks": False}
        return self._postprocess(results, batched_inputs, images.image_sizes, **options)

    @staticmethod
    def _postprocess(
        instances: Sequence[Instances],
        batched_inputs: Sequence[dict[str, Any]],
        image_sizes: Sequence[tuple[int, int]],
        paste_masks: bool = True,
    ) -> list[dict[str, Instances]]:
        """Scale the detections to the output sizes, see `postprocess_batch`.

        Args:
            instances: per image, in pixels of the network's input.
            batched_inputs: whose "height" and "width" are the output sizes.
            image_sizes: (height, width) of the network's inputs, without padding.

        Returns:
            Per image {"instances": `Instances`}.
        """
        sizes = output_sizes(batched_inputs, image_sizes)
        results = postprocess_batch(instances, sizes, paste_masks=paste_masks)
        return [{"instances": x} for x in results]


class ProposalNetwork(ImageModel):
    """A backbone and a proposal generator: boxes without classes.

    Args:
        backbone: a built backbone.
        proposal_generator: as `RPN`.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        proposal_generator: ProposalGenerator,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.proposal_generator = proposal_generator

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return the losses by name in training, else the proposals of each image.

        Args:
            batched_inputs: as `GeneralizedRCNN` takes them.

        Returns:
            In training the losses by name; at inference per image {"proposals": `Instances`} with
            ``proposal_boxes`` and ``objectness_logits``, in the output size.
        """
        if not self.training and not len(batched_inputs):
            return []
        images = self.preprocess_image(batched_inputs)
        features = self.backbone(images.tensor)
        gt_instances = self.ground_truth(batched_inputs)
        proposals, losses = self.proposal_generator(images, features, gt_instances)
        if self.training:
            return losses
        sizes = output_sizes(batched_inputs, images.image_sizes)
        return [{"proposals": x} for x in postprocess_batch(proposals, sizes)]


def output_sizes(
    batched_inputs: Sequence[dict[str, Any]], image_sizes: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the (height, width) that each result is wanted in: that of the input where it does not say."""
    return [
        (int(x.get("height", size[0])), int(x.get("width", size[1])))
        for x, size in zip(batched_inputs, image_sizes, strict=True)
    ]
