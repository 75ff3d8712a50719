"""The code of docs/extending-models.md runs, and what it names is there."""

import inspect
import re
from pathlib import Path

import torch
from tiny_rcnn import make_batch

from lazycfg import modeling

PAGE = Path(__file__).parents[2] / "docs" / "extending-models.md"


def test_the_box_predictor() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    torch.manual_seed(0)
    names: dict = {}
    exec(compile(block, str(PAGE), "exec"), names)
    model = names["model"].eval()
    predictor = model.roi_heads.box_predictor
    assert type(predictor) is names["SizeAwarePredictor"]
    assert predictor.factor == 0.25
    predictor.test_score_thresh, predictor.small_area = 1e-4, 1e3
    with torch.no_grad():
        torch.nn.init.zeros_(model.proposal_generator.rpn_head.anchor_deltas.weight)
        outputs = [x["instances"] for x in model(make_batch(2, "none"))]
    assert sum(len(x) for x in outputs) > 0
    assert all(x.is_small.dtype == torch.bool for x in outputs)


def test_names() -> None:
    """Every method in the tables exists, and takes the arguments that the table has."""
    kind, seen = "", 0
    for line in PAGE.read_text().splitlines():
        if line.startswith("### "):
            kind = (re.findall(r"`(\w+)`", line) or [""])[0]
        if not line.startswith("| `"):
            continue
        for owner, name, arguments in re.findall(r"`(\w*)\.?\b(\w+)\(([\w, ]*)\)`", line.split("|")[1]):
            kind = owner or kind
            parameters = inspect.signature(getattr(getattr(modeling, kind), name)).parameters
            assert set(arguments.split(", ")) <= set(parameters), (kind, name, arguments)
            seen += 1
    assert seen > 35
