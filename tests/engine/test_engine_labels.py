"""Labels that a model has no class for are found before its loss, and the image is named."""

import numpy as np
import pytest
import torch
from odd_runs import job, write_data
from torch import nn

from lazycfg.data import AnnotationError, DatasetMapper
from lazycfg.engine import train
from lazycfg.engine.labels import LabelCheck
from lazycfg.modeling import DataNeeds
from lazycfg.structures import Instances


class Tells(nn.Module):
    def __init__(self, **needs):
        super().__init__()
        self.needs = DataNeeds(**needs)

    def data_needs(self):
        return self.needs


def sample(*classes, pixels=None, name="a.png"):
    instances = Instances((4, 4))
    instances.gt_classes = torch.tensor(classes, dtype=torch.int64)
    result = {"file_name": name, "instances": instances}
    if pixels is not None:
        result["sem_seg"] = torch.tensor([pixels])
    return result


def test_classes_of_objects():
    check = LabelCheck(Tells(thing_classes=3)).check
    check([sample(0, 1, 2), sample()])
    check([{"image": torch.zeros(1)}])
    check({"not": "a list"})
    for wrong in (3, -1):
        with pytest.raises(AnnotationError, match=rf"b.png: an object .* {wrong}, expected 0 to 2"):
            check([sample(0, 1), sample(2, wrong, name="b.png")])
    unknown = LabelCheck(nn.Identity()).check
    unknown([sample(500)])
    with pytest.raises(AnnotationError, match="expected at least 0"):
        unknown([sample(-1)])


def test_labels_of_pixels():
    check = LabelCheck(Tells(stuff_classes=3, ignore_label=255)).check
    check([sample(pixels=[0, 1, 2, 255, 255])])
    for wrong in (3, -1, 254):
        with pytest.raises(AnnotationError, match=rf"the label {wrong}, expected 0 to 2, or 255"):
            check([sample(pixels=[0, 255, 2]), sample(pixels=[0, 255, wrong])])


def test_pixels_that_do_not_count_hide_no_wrong_ones():
    check = LabelCheck(Tells(stuff_classes=3, ignore_label=0)).check
    check([sample(pixels=[0, 0, 1, 2])])
    with pytest.raises(AnnotationError, match="the label 7, expected 0 to 2, or 0"):
        check([sample(pixels=[0, 0, 0, 7])])


class OneWrong(DatasetMapper):
    """Gives a class that there is not for one image, after the first samples."""

    def __init__(self, *, wrong, **options):
        super().__init__(**options)
        self.wrong = wrong

    def __call__(self, record, rng=None):
        result = super().__call__(record, rng)
        if record["image_id"] == self.wrong:
            result["instances"].gt_classes[:] = 80
        return result


def test_a_run_ends_with_the_name_of_the_image(tmp_path):
    # More images than the trial before training reads
    content = write_data(tmp_path, "train", count=200), write_data(tmp_path, "val", count=2)
    cfg = job(tmp_path, *content)
    cfg.dataloader.train.update(total_batch_size=4, aspect_ratio_grouping=False)
    cfg.train.update(max_iter=50, log_period=50)
    looked_at = set(np.linspace(0, 199, 64).round().astype(int) + 1)
    wrong = next(i for i in range(100, 201) if i not in looked_at)
    cfg.dataloader.train.mapper._target_ = OneWrong
    cfg.dataloader.train.mapper.wrong = wrong
    with pytest.raises(AnnotationError, match=rf"image_id={wrong}: an object has the class 80"):
        train(cfg)
