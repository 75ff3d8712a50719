"""One evaluation of a built model: numbers and pictures."""

import logging
from typing import Any

from lazycfg.utils import broadcast_object

from .build import Parts
from .settings import TrainSettings

__all__ = ["run_evaluation"]

logger = logging.getLogger(__name__)


def run_evaluation(parts: Parts, settings: TrainSettings) -> dict[str, Any]:
    """Evaluate ``parts.model`` on the test loader; every process calls this and takes its share.

    Returns:
        what the evaluator found, the same on every process.
    """
    from lazycfg.evaluation import inference_on_dataset

    results = inference_on_dataset(parts.model, parts.test_loader, parts.evaluator)
    return dict(broadcast_object(results))
