"""The federated loss of data sets whose images are annotated for some of the classes (arXiv:2103.07461)."""

import torch
from torch import Tensor

__all__ = ["get_fed_loss_classes"]


def get_fed_loss_classes(
    gt_classes: Tensor, num_fed_loss_classes: int, num_classes: int, weight: Tensor
) -> Tensor:
    """Draw the classes that the loss looks at: all that occur, then others at random.

    Args:
        gt_classes: (R,) int64, with `num_classes` for the background.
        num_fed_loss_classes: how many classes to have, unless more occur.
        num_classes: foreground classes.
        weight: (num_classes,) float, how likely each is to be drawn.

    Returns:
        (num_classes + 1,) bool: which classes were drawn; the background counts when it occurs.
    """
    occurs = torch.zeros(num_classes + 1, dtype=torch.bool, device=gt_classes.device)
    occurs[gt_classes] = True
    # Drawing without replacement is taking the largest of weight / Exp(1); those that occur come first.
    race = torch.zeros(num_classes + 1, device=gt_classes.device)
    race[:-1] = weight / torch.empty_like(weight).exponential_()
    race = race.masked_fill(occurs, torch.inf)
    top, index = race.topk(min(num_fed_loss_classes, num_classes + 1))
    drawn = torch.zeros_like(occurs)
    drawn[index] = top > 0
    return drawn | occurs
