"""ROIAlign as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

__all__ = ["ROIAlign", "roi_align"]


class ROIAlign(nn.Module):
    """Pool each region of a feature map to a fixed size by bilinear sampling (Mask R-CNN, arXiv:1703.06870).

    Continuous coordinates: pixel i covers [i, i + 1] with its centre at i + 0.5. ``aligned=True`` samples
    accordingly; ``aligned=False`` is the older operator, half a pixel off, with regions of at least 1x1.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = True,
    ) -> None:
        """Set the size and the scale of the pooled regions.

        Args:
            output_size: (height, width) of a pooled region, or one number for both.
            spatial_scale: what box coordinates are multiplied with to get feature coordinates.
            sampling_ratio: samples per output cell along each axis; 0 takes as many as the region has pixels.
            aligned: sample at the true pixel centres.
        """
        super().__init__()
        height, width = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.output_size = (height, width)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Pool regions of feature maps.

        Args:
            input: (N, C, H, W).
            rois: (R, 5): index of the image in the batch, then XYXY before ``spatial_scale``.

        Returns:
            (R, C, *output_size), of the type of ``input``.

        Raises:
            ValueError: the regions are not (R, 5).
        """
        if rois.dim() != 2 or rois.shape[1] != 5:
            raise ValueError(f"ROIAlign: expected rois (R, 5), got {tuple(rois.shape)}")
        # Half-precision coordinates would be off by pixels, and the kernels know no bfloat16.
        wide = torch.promote_types(input.dtype, torch.float32)
        features, boxes = input.to(wide), rois.to(wide)
        out = roi_align(
            features, boxes, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )
        return out.to(input.dtype)

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
