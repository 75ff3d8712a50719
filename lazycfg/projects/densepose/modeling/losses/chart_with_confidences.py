"""Losses of chart coordinates whose errors are Gaussian with a predicted variance (arXiv:1909.11526)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..confidence import DensePoseConfidenceModelConfig, DensePoseUVConfidenceType
from .chart import DensePoseChartLoss
from .sampling import PointSampler

__all__ = ["DensePoseChartWithConfidenceLoss", "anisotropic_gaussian_loss", "isotropic_gaussian_loss"]

LOG_2PI = math.log(2 * math.pi)


class DensePoseChartWithConfidenceLoss(DensePoseChartLoss):
    """As `DensePoseChartLoss`; with confidences of the coordinates one loss of both, their likelihood.

    Args:
        heatmap_size, w_points, w_part, w_segm, n_segm_chan, segm_trained_by_masks: see `DensePoseChartLoss`.
        confidence_model_cfg: that of the predictor.
    """

    def __init__(
        self,
        *,
        heatmap_size: int = 112,
        w_points: float = 0.01,
        w_part: float = 1.0,
        w_segm: float = 5.0,
        n_segm_chan: int = 2,
        segm_trained_by_masks: bool = False,
        confidence_model_cfg: DensePoseConfidenceModelConfig | None = None,
    ) -> None:
        super().__init__(
            heatmap_size=heatmap_size,
            w_points=w_points,
            w_part=w_part,
            w_segm=w_segm,
            n_segm_chan=n_segm_chan,
            segm_trained_by_masks=segm_trained_by_masks,
        )
        self.confidence_model_cfg = confidence_model_cfg or DensePoseConfidenceModelConfig()

    def uv_losses(
        self, out: Any, sampler: PointSampler, parts: Tensor, u: Tensor, v: Tensor, counted: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss of the coordinates (P,) by their confidences, see `DensePoseChartLoss.uv_losses`.

        Raises:
            ValueError: the predictor gives no such confidences.
        """
        uv = self.confidence_model_cfg.uv_confidence
        if not uv.enabled:
            return super().uv_losses(out, sampler, parts, u, v, counted)
        directed = uv.type is DensePoseUVConfidenceType.INDEP_ANISO
        names = ("sigma_2", "kappa_u", "kappa_v") if directed else ("sigma_2",)
        for name in names:
            if getattr(out, name, None) is None:
                raise ValueError(
                    f"DensePose: the losses are for the confidences {', '.join(names)}, the predictor gives "
                    f"no {name}: both need the same confidence_model_cfg"
                )
        delta_u, delta_v = sampler.channel(out.u, parts) - u, sampler.channel(out.v, parts) - v
        raw, *kappa = (sampler.channel(getattr(out, name), parts) for name in names)
        variance = F.softplus(raw) + uv.epsilon
        if directed:
            wrong = anisotropic_gaussian_loss(delta_u, delta_v, variance, *kappa)
        else:
            wrong = isotropic_gaussian_loss(delta_u, delta_v, variance)
        return {"loss_densepose_UV": torch.where(counted, wrong, 0.0).sum() * self.w_points}


def isotropic_gaussian_loss(delta_u: Tensor, delta_v: Tensor, variance: Tensor) -> Tensor:
    """Return minus the log likelihood of errors whose variance is the same in all directions.

    Args:
        delta_u, delta_v: errors, of any shape.
        variance: of each coordinate, positive.

    The constant is that of one coordinate, as published.
    """
    return 0.5 * (LOG_2PI + 2 * variance.log() + (delta_u**2 + delta_v**2) / variance)


def anisotropic_gaussian_loss(
    delta_u: Tensor, delta_v: Tensor, variance: Tensor, kappa_u: Tensor, kappa_v: Tensor
) -> Tensor:
    """Return minus the log likelihood of errors with the covariance ``variance * I + kappa kappa^T``.

    Args:
        delta_u, delta_v: errors, of any shape.
        variance: across the direction, positive.
        kappa_u, kappa_v: the direction in which there is more variance, and how much.

    The constant is that of one coordinate, as published.
    """
    determinant = variance * (variance + kappa_u**2 + kappa_v**2)
    along = delta_u * kappa_u + delta_v * kappa_v
    squares = (delta_u**2 + delta_v**2) / variance - along**2 / determinant
    return 0.5 * (LOG_2PI + determinant.log() + squares)
