"""The classes of the data against those of the model, known before the first step."""

import json
from pathlib import Path

import pytest
import torch
from odd_runs import job, refused, trained, write_data

from lazycfg import LazyCall as L
from lazycfg.engine import PreflightError
from lazycfg.modeling import DataNeeds
from lazycfg.structures import Instances


def exchanged(content):
    content["categories"] = [{"id": 1, "name": "b"}, {"id": 2, "name": "a"}]
    for annotation in content["annotations"]:
        annotation["category_id"] = 3 - annotation["category_id"]


def only_b(content):
    content["categories"] = content["categories"][1:2]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 2]


class Oracle(torch.nn.Module):
    """Predicts all that the file of a data set has, by the classes of the training: names ``a``, ``b``."""

    def __init__(self, model, *, json_file):
        super().__init__()
        self.model = model
        content = json.loads(Path(json_file).read_text())
        self.truth = content

    def data_needs(self):
        return DataNeeds()

    def forward(self, batch):
        if self.training:
            return self.model(batch)
        from lazycfg.structures import Boxes

        names = {c["id"]: c["name"] for c in self.truth["categories"]}
        outputs = []
        for item in batch:
            objects = [a for a in self.truth["annotations"] if a["image_id"] == item["image_id"]]
            found = Instances((item["height"], item["width"]))
            boxes = torch.tensor([a["bbox"] for a in objects], dtype=torch.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            found.pred_boxes = Boxes(boxes)
            found.scores = torch.full((len(objects),), 0.9)
            found.pred_classes = torch.tensor(
                [("a", "b").index(names[a["category_id"]]) for a in objects]
            ).long()
            outputs.append({"instances": found})
        return outputs


def oracle_job(folder, train_json, test_json):
    cfg = job(folder, train_json, test_json)
    cfg.model = L(Oracle)(model=cfg.model, json_file=str(test_json))
    return cfg


def test_the_same_names_in_another_order_are_evaluated_by_name(files, tmp_path):
    test = write_data(tmp_path, "val", edit=exchanged)
    results = trained(oracle_job(tmp_path, files[0], test))
    assert results["bbox"]["AP50"] == pytest.approx(100)
    assert results["bbox"]["AP-a"] == results["bbox"]["AP-b"] == pytest.approx(100)


def test_some_of_the_names_are_evaluated_by_name(files, tmp_path):
    test = write_data(tmp_path, "val", edit=only_b)
    assert trained(oracle_job(tmp_path, files[0], test))["bbox"]["AP50"] == pytest.approx(100)


def test_the_evaluation_alone_knows_the_names_from_the_weights(files, tmp_path):
    from lazycfg.engine import evaluate

    test = write_data(tmp_path, "val", edit=exchanged)
    cfg = oracle_job(tmp_path, files[0], test)
    trained(cfg)
    found = evaluate(cfg, weights=tmp_path / "out" / "model_final.safetensors")
    assert found["bbox"]["AP50"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("categories", "word"),
    [(("a", "c"), "c"), (("a", "b", "c"), None), (("x", "y"), "x"), (("A", "B"), "A"), (("a", "a"), "a")],
)
def test_other_names_are_refused(files, tmp_path, categories, word):
    test = write_data(tmp_path, "val", categories=categories)
    cfg = job(tmp_path, files[0], test)
    if word is None:  # nothing is annotated with the third name
        trained(cfg)
    else:
        refused(cfg, "dataloader.test.dataset", word)


def test_an_evaluation_of_other_names_is_not_told_to_evaluate_nothing(files, tmp_path):
    from lazycfg.engine import evaluate

    cfg = oracle_job(tmp_path, *files)
    trained(cfg)
    cfg.dataloader.test.dataset.json_file = str(write_data(tmp_path, "other", categories=("a", "c")))
    with pytest.raises(PreflightError, match="it has c, which the model was not trained on") as caught:
        evaluate(cfg, weights=tmp_path / "out" / "model_final.safetensors")
    assert "dataloader.test" not in caught.value.on_command_line().partition("remedy:")[2]
