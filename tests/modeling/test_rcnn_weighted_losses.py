"""Class weights and focal loss of the box predictor."""

import pytest
import torch
import torch.nn.functional as F

from lazycfg.layers import sigmoid_focal_loss
from lazycfg.modeling import Box2BoxTransform, FastRCNNOutputLayers
from lazycfg.modeling.roi_heads.fast_rcnn import IGNORED, softmax_cross_entropy_loss


def predictor(**options):
    codec = Box2BoxTransform(weights=(10, 10, 5, 5))
    return FastRCNNOutputLayers(8, box2box_transform=codec, num_classes=3, **options)


@pytest.fixture
def regions():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20, 4, generator=generator, requires_grad=True)
    return scores, torch.randint(0, 4, (20,), generator=generator)


def test_class_weights_are_those_of_torch(regions):
    scores, classes = regions
    weights = [0.5, 2.0, 3.0, 0.1]
    loss = predictor(class_weights=weights).classification_loss(scores, classes)
    torch.testing.assert_close(loss, F.cross_entropy(scores, classes, weight=torch.tensor(weights)))
    loss = predictor(class_weights=weights[:3]).classification_loss(scores, classes)
    torch.testing.assert_close(loss, F.cross_entropy(scores, classes, weight=torch.tensor([0.5, 2, 3, 1])))


def test_weights_of_one_and_a_small_exponent_change_nothing(regions):
    scores, classes = regions
    plain = softmax_cross_entropy_loss(scores, classes)
    assert torch.equal(predictor().classification_loss(scores, classes), plain)
    for options in ({"class_weights": [1, 1, 1]}, {"focal_gamma": 1e-9}):
        torch.testing.assert_close(predictor(**options).classification_loss(scores, classes), plain)
    sigmoid = predictor(use_sigmoid_ce=True).classification_loss(scores, classes)
    for options in ({"class_weights": [1, 1, 1]}, {"focal_gamma": 1e-9}):
        loss = predictor(use_sigmoid_ce=True, **options).classification_loss(scores, classes)
        torch.testing.assert_close(loss, sigmoid)


def test_focal_losses(regions):
    scores, classes = regions
    p = scores.softmax(dim=1)[torch.arange(20), classes]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(predictor(focal_gamma=2.0).classification_loss(scores, classes), expected)
    target = F.one_hot(classes, 4)[:, :3].float()
    expected = sigmoid_focal_loss(scores[:, :3], target, alpha=0.25, gamma=2.0).sum() / 20
    both = predictor(use_sigmoid_ce=True, focal_gamma=2.0, focal_alpha=0.25)
    torch.testing.assert_close(both.classification_loss(scores, classes), expected)
    weighted = predictor(use_sigmoid_ce=True, class_weights=[1, 0, 2]).classification_loss(scores, classes)
    loss = F.binary_cross_entropy_with_logits(scores[:, :3], target, reduction="none")
    torch.testing.assert_close(weighted, (loss * torch.tensor([1.0, 0, 2])).sum() / 20)


@pytest.mark.parametrize("options", [{"class_weights": [1, 2, 3]}, {"focal_gamma": 0.5}])
@pytest.mark.parametrize("use_sigmoid_ce", [False, True])
def test_what_is_ignored_or_certain_does_no_harm(options, use_sigmoid_ce, regions):
    scores, classes = regions
    made = predictor(use_sigmoid_ce=use_sigmoid_ce, **options)
    some = torch.where(torch.arange(20) % 2 == 0, classes, IGNORED)
    half = made.classification_loss(scores, some)
    torch.testing.assert_close(half, made.classification_loss(scores[::2], classes[::2]))
    nothing = made.classification_loss(scores, torch.full((20,), IGNORED))
    assert nothing == 0
    assert made.classification_loss(scores[:0], classes[:0]) == 0
    certain = (F.one_hot(classes, 4) * 200.0 - 100).requires_grad_()
    made.classification_loss(certain, classes).backward()
    assert torch.isfinite(certain.grad).all()


def test_weights_move_with_the_model_and_are_in_no_checkpoint():
    made = predictor(class_weights=[1, 2, 3])
    assert "class_weights" not in made.state_dict()
    assert made.to(torch.float64).class_weights.dtype == torch.float64
    assert predictor().state_dict().keys() == made.state_dict().keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1, 2]}, r"shape \(2,\): expected 3 or 4 numbers for 3 classes \(one more"),
        ({"class_weights": [1, 2, 3, 4], "use_sigmoid_ce": True}, "expected 3 numbers"),
        ({"class_weights": [1, -2, 3]}, "at least 0"),
        ({"class_weights": [0, 0, 0]}, "not all 0"),
        ({"focal_gamma": -1.0}, "focal_gamma must be at least 0"),
        ({"focal_alpha": 0.25}, "needs focal_gamma"),
        ({"focal_alpha": 0.25, "focal_gamma": 2.0}, "use_sigmoid_ce"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        predictor(**options)
