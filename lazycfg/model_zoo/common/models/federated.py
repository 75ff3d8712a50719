"""The loss of data sets whose images are annotated for some of the classes, LVIS."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import FederatedClassWeights


def with_federated_loss(model: Any, *, num_classes: int = 1203) -> Any:
    """Return the config of an R-CNN with a federated loss (arXiv:2103.07461) in its box predictors.

    Each step looks at the classes that occur and at others, 50 in all, drawn by the square root of the number
    of their images, which the annotation file for training tells.
    """
    heads = model.roi_heads
    heads.num_classes = num_classes
    weights: Any = L(FederatedClassWeights)(
        json_file=ref("dataloader.train.dataset.dataset.json_file"), freq_weight_power=0.5
    )
    for predictor in heads.get("box_predictors") or [heads.box_predictor]:
        predictor.update(
            test_score_thresh=0.02,
            test_topk_per_image=300,
            use_sigmoid_ce=True,
            use_fed_loss=True,
            get_fed_loss_cls_weights=weights,
        )
    return model
