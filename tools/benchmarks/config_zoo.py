"""What the construction core adds to configs of the model zoo: what users wait for."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.timing import in_turn

__all__ = ["zoo"]

_CONFIGS = (
    "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py",
    "ViTDet/cascade_mask_rcnn_vitdet_b_100ep.py",
    "quickstart/mask_rcnn_shapes.py",
)


def zoo() -> Iterator[str]:
    """Yield a line for each config: `check` of the whole, `instantiate` of its model on the meta device
    against the constructors alone.
    """
    import torch

    from lazycfg import check, instantiate, model_zoo

    for name in _CONFIGS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cfg = model_zoo.get_config(name)
        calls = _calls(cfg.model)
        with torch.device("meta"):
            times = in_turn(
                {
                    "check": lambda cfg=cfg: check(cfg),
                    "instantiate": lambda cfg=cfg: instantiate(cfg.model),
                    "direct": lambda calls=calls: [make(**given) for make, given in calls],
                },
                2.0,
            )
        more = times["instantiate"] / times["direct"] - 1
        yield (
            f"{name}: check {times['check'] * 1e3:.2f} ms, instantiate {len(calls)} calls of its model "
            f"{times['instantiate'] * 1e3:.1f} ms, {more:+.1%} of the constructors alone"
        )


def _calls(model: Any) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Return the calls that build a model, each with what it is given."""
    import torch

    from lazycfg.config import Profile, instantiate

    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = []

    class Recorder(Profile):
        def before_call(self, link: Any) -> None:
            call = sys._getframe(1).f_locals
            calls.append((call["target"], dict(call["contents"])))

    with torch.device("meta"):
        instantiate(model, profile=Recorder())
    return calls
