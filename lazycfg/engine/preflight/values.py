"""Values of a model's parts that make no sense whatever the data is."""

from torch import nn

from .findings import Findings
from .looking import config_path

__all__ = ["check_values"]

# Arguments of the library's parts, and the least and the greatest value of each
_FRACTION = (0.0, 1.0, "a fraction of 1")
_COUNT = (1, float("inf"), "at least 1")
_LIMITS = {
    "test_score_thresh": (float("-inf"), 1.0, "at most 1, as scores are"),
    "test_nms_thresh": _FRACTION,
    "nms_thresh": _FRACTION,
    "positive_fraction": _FRACTION,
    "batch_size_per_image": _COUNT,
    "test_topk_per_image": (1, float("inf"), "at least 1, or -1 for all"),
    "test_topk_candidates": _COUNT,
}


def check_values(model: nn.Module, found: Findings) -> None:
    """Compare thresholds, fractions and counts of the library's parts with what they can be."""
    for name, part in model.named_modules():
        # A part of another library may mean something else
        if not any(cls.__module__.startswith("lazycfg.") for cls in type(part).__mro__):
            continue
        for argument, (least, greatest, expected) in _LIMITS.items():
            value = getattr(part, argument, None)
            if argument == "test_topk_per_image" and isinstance(value, int) and value < 0:
                continue
            if isinstance(value, int | float) and not least <= value <= greatest:
                path = f"{config_path(part, f'model.{name}'.rstrip('.'))}.{argument}"
                found.add(path, f"{path}={value!r}: expected {expected}")
