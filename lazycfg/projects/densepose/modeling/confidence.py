"""What confidences a predictor gives and its losses use: one description for both."""

from dataclasses import dataclass, field
from enum import Enum

import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "DensePoseConfidenceModelConfig",
    "DensePoseSegmConfidenceConfig",
    "DensePoseUVConfidenceConfig",
    "DensePoseUVConfidenceType",
    "weigh_segmentation",
]


class DensePoseUVConfidenceType(Enum):
    """The distribution of the errors of (u, v), both Gaussian (arXiv:1909.11526).

    IID_ISO: the same variance in all directions. INDEP_ANISO: more along one direction, also predicted.
    """

    IID_ISO = "iid_iso"
    INDEP_ANISO = "indep_aniso"


@dataclass(frozen=True, kw_only=True)
class DensePoseUVConfidenceConfig:
    """Of the coordinates.

    Attributes:
        enabled: whether the variance is predicted.
        epsilon: the smallest variance.
        type: the distribution, or its name.
    """

    enabled: bool = False
    epsilon: float = 0.01
    type: DensePoseUVConfidenceType | str = DensePoseUVConfidenceType.IID_ISO

    def __post_init__(self) -> None:
        names = [kind.value for kind in DensePoseUVConfidenceType]
        if not isinstance(self.type, DensePoseUVConfidenceType):
            if self.type not in names:
                raise ValueError(f"DensePoseUVConfidenceConfig: type is one of {names}, got {self.type!r}")
            object.__setattr__(self, "type", DensePoseUVConfidenceType(self.type))
        check_epsilon(self)


@dataclass(frozen=True, kw_only=True)
class DensePoseSegmConfidenceConfig:
    """Of the segmentations.

    Attributes:
        enabled: whether a confidence is predicted.
        epsilon: the smallest confidence.
    """

    enabled: bool = False
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        check_epsilon(self)


def weigh_segmentation(
    maps: dict[str, Tensor], name: str, raw: Tensor, config: DensePoseSegmConfidenceConfig
) -> None:
    """Put the confidence of a segmentation among maps (R, C, S, S), and weigh its logits by it.

    Args:
        maps: by name; ``<name>_confidence`` comes in, and ``<name>`` is multiplied by it.
        name: of the segmentation.
        raw: (R, 1, S, S), before it is made positive.
        config: tells the smallest confidence.
    """
    confidence = F.softplus(raw) + config.epsilon
    maps[f"{name}_confidence"] = confidence
    maps[name] = maps[name] * confidence


def check_epsilon(config: DensePoseUVConfidenceConfig | DensePoseSegmConfidenceConfig) -> None:
    """Raise ValueError unless the lower bound is positive."""
    if not config.epsilon > 0:
        raise ValueError(f"{type(config).__name__}: epsilon must be positive, got {config.epsilon}")


@dataclass(frozen=True, kw_only=True)
class DensePoseConfidenceModelConfig:
    """Which confidences there are; by default none."""

    uv_confidence: DensePoseUVConfidenceConfig = field(default_factory=DensePoseUVConfidenceConfig)
    segm_confidence: DensePoseSegmConfidenceConfig = field(default_factory=DensePoseSegmConfidenceConfig)
