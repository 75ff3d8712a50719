"""Classes of a model in the numbers of other data."""

import pytest
import torch
from torch import nn

from lazycfg.engine.class_mapping import ClassMapping, RenumberedClasses, match_classes
from lazycfg.structures import Boxes, Instances


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        ("abc", "abc", None),
        ("abc", "cab", (1, 2, 0)),
        ("abc", "b", (-1, 0, -1)),
        ("ab", "xbya", (3, 1)),
        ("", "ab", None),
        ("ab", "", None),
        ("aa", "aa", None),
    ],
)
def test_by_name(model, data, expected):
    assert match_classes(model, data) == expected


def test_a_name_of_two_classes_cannot_be_matched():
    with pytest.raises(ValueError, match="'a' is the name of two classes"):
        match_classes("aab", "aba")


class Says(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, batch):
        return [self.output]


def test_detections():
    instances = Instances((8, 8), pred_boxes=Boxes(torch.arange(12.0).view(3, 4)), scores=torch.rand(3))
    instances.pred_classes = torch.tensor([0, 1, 2])
    (found,) = RenumberedClasses(Says({"instances": instances}), ClassMapping(things=(1, -1, 0)))([{}])
    assert found["instances"].pred_classes.tolist() == [1, 0]
    assert torch.equal(found["instances"].scores, instances.scores[[0, 2]])
    assert instances.pred_classes.tolist() == [0, 1, 2]  # the model's own answer is left alone


def test_maps_of_labels_and_segments():
    scores = torch.rand(3, 4, 4)
    info = [{"id": 1, "isthing": True, "category_id": 0}, {"id": 2, "isthing": False, "category_id": 2}]
    said = {"sem_seg": scores, "panoptic_seg": (torch.ones(4, 4), info)}
    mapping = ClassMapping(things=(-1,), stuff=(2, 0, 1))
    (found,) = RenumberedClasses(Says(said), mapping)([{}])
    assert torch.equal(found["sem_seg"], scores[[1, 2, 0]])
    assert found["panoptic_seg"][1] == [{"id": 2, "isthing": False, "category_id": 1}]
    (found,) = RenumberedClasses(Says({"sem_seg": scores.argmax(0)}), mapping)([{}])
    assert torch.equal(found["sem_seg"], torch.tensor([2, 0, 1])[scores.argmax(0)])


def test_labels_that_tell_their_classes_are_not_renumbered():
    said = {"panoptic_seg": (torch.zeros(4, 4), None)}
    model = RenumberedClasses(Says(said), ClassMapping(things=(1, 0)))
    with pytest.raises(ValueError, match="panoptic labels without segments_info cannot be renumbered"):
        model([{}])


def test_the_modes_of_the_model_are_kept():
    model = RenumberedClasses(Says({}), ClassMapping()).eval()
    assert not model.model.training
