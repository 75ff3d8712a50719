"""What a run takes from its data: written as values, and kept with the weights."""

import copy
import json
import operator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node, instantiate
from lazycfg.checkpoint import save_weights
from lazycfg.data import DatasetFromList, Metadata
from lazycfg.engine import SettingsError
from lazycfg.engine.build import build_parts
from lazycfg.engine.from_data import with_values
from lazycfg.engine.run_metadata import (
    check_same_data,
    loader_metadata,
    metadata_of_weights,
    weights_metadata,
)

META = Metadata(
    name="pets",
    thing_classes=("cat", "犬"),
    thing_colors=((1, 2, 3), (4, 5, 6)),
    thing_dataset_id_to_contiguous_id={7: 0, 9: 1},
    keypoint_names=("left_ear", "right_ear"),
    keypoint_flip_map=(("left_ear", "right_ear"),),
    keypoint_connection_rules=(("left_ear", "right_ear", (9, 9, 9)),),
    keypoint_oks_sigmas=(0.1, 0.2),
    stuff_classes=("sky",),
    ignore_label=254,
    json_file="/home/me/train.json",
    extra={"license": "none", "array": np.zeros(2)},
)


class Data(DatasetFromList):
    """Counts how often it is made."""

    made = 0

    def __init__(self, metadata=META):
        Data.made += 1
        super().__init__([], metadata=metadata)


class Model(nn.Module):
    def __init__(self, **arguments):
        super().__init__()
        self.arguments = arguments
        self.layer = nn.Linear(1, 1)


def loader(dataset=None, mapper=None):
    return SimpleNamespace(dataset=dataset, mapper=mapper)


def weights_of_classes(dataset):
    return torch.ones(dataset.num_classes)


def config(**asked):
    data = L(Data)()
    return Node(
        model=L(Model)(**{name: ask(data) for name, ask in asked.items()}),
        dataloader=Node(train=L(loader)(dataset=data, mapper=L(dict)()), test=None),
        optimizer=L(torch.optim.SGD)(lr=0.1),
        names=L.attr(data, "num_classes"),
    )


CASES = {
    "num_classes": (lambda d: L.attr(d, "num_classes"), 2),
    "one_more": (lambda d: L(operator.add)(L.attr(d, "num_classes"), 1), 3),
    "names": (lambda d: L.attr(L.attr(d, "metadata"), "thing_classes"), ("cat", "犬")),
    "ignore": (lambda d: L.attr(L.attr(d, "metadata"), "ignore_label"), 254),
    "sigmas": (lambda d: [L.attr(L.attr(d, "metadata"), "keypoint_oks_sigmas")], [(0.1, 0.2)]),
    "by_name": (lambda d: {"a": L(len)(L.attr(L.attr(d, "metadata"), "stuff_classes"))}, {"a": 1}),
    "elsewhere": (lambda d: "${names}", 2),
    "through_text": (lambda d: L(getattr)("${dataloader.train.dataset}", "num_classes"), 2),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_of_the_data_become_values(case):
    ask, expected = CASES[case]
    cfg = config(asked=ask)
    before = copy.deepcopy(cfg)
    Data.made = 0
    parts = build_parts(cfg, training=True)
    assert Data.made == 1
    assert cfg == before
    saved = with_values(cfg, parts.from_data)
    assert instantiate(saved.model).arguments["asked"] == expected
    assert Data.made == 1
    assert parts.model.arguments["asked"] == expected


def test_what_has_values_needs_no_data(tmp_path):
    cfg = config(**{name: ask for name, (ask, _) in CASES.items()}, weight=lambda d: L(weights_of_classes)(d))
    cfg.model.metadata = L.attr(cfg.dataloader.train.dataset, "metadata")
    cfg.model.array = L(np.asarray)(L.attr(L.attr(cfg.dataloader.train.dataset, "metadata"), "thing_colors"))
    parts = build_parts(cfg, training=True)
    for suffix in ("py", "yaml", "json"):
        file = tmp_path / f"saved.{suffix}"
        LazyConfig.save(with_values(cfg, parts.from_data), file)
        again = LazyConfig.load(file, trusted=True)
        Data.made = 0
        found = instantiate(again.model).arguments
        assert Data.made == 0
        assert found["num_classes"] == 2
        assert torch.equal(found["weight"], torch.ones(2))
        assert np.array_equal(found["array"], [[1, 2, 3], [4, 5, 6]])
        assert found["metadata"].thing_classes == ("cat", "犬")
        assert found["metadata"].keypoint_oks_sigmas == (0.1, 0.2)
        assert again.dataloader.train.dataset._target_ is not None  # the data set is still there to train on


def test_parts_and_other_calls_stay():
    cfg = config(layer=lambda d: L(nn.Linear)(2, L.attr(d, "num_classes")), size=lambda d: L(int)("5"))
    saved = with_values(cfg, build_parts(cfg, training=True).from_data)
    assert saved.model.layer == L(nn.Linear)(2, 2)
    assert saved.model.size == L(int)("5")
    plain = Node(model=L(Model)(), optimizer=L(torch.optim.SGD)(lr=1.0), dataloader={"train": L(loader)()})
    assert with_values(plain, build_parts(plain, training=True).from_data) == plain


def test_metadata_in_weights(tmp_path):
    file = tmp_path / "w.safetensors"
    save_weights(nn.Linear(1, 1), file, metadata=weights_metadata(META))
    found = metadata_of_weights(file)
    assert found == META.replace(json_file=None, extra={"license": "none"})
    assert "/home/me" not in str(file.read_bytes())
    save_weights(nn.Linear(1, 1), file)
    assert metadata_of_weights(file) is None
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04")
    assert metadata_of_weights(tmp_path / "w.pth") is None
    save_weights(nn.Linear(1, 1), tmp_path / "w.pth", metadata=weights_metadata(META))
    assert metadata_of_weights(tmp_path / "w.pth") == found
    for wrong in (
        "{",
        "[1]",
        "[" * 100_000,
        json.dumps({"thing_classes": ["a"], "thing_colors": [[1, 2, 3]] * 2}),
    ):
        save_weights(nn.Linear(1, 1), file, metadata={"dataset": wrong})
        with pytest.raises(ValueError, match=r"w\.safetensors: its metadata 'dataset'"):
            metadata_of_weights(file)


def test_metadata_of_a_loader():
    own = SimpleNamespace(thing_classes=["a", "b"], colour="red")
    assert loader_metadata(loader(SimpleNamespace(metadata=own))) == Metadata(thing_classes=("a", "b"))
    assert loader_metadata(loader(SimpleNamespace(metadata=META))) is META
    assert loader_metadata([]) is None
    assert weights_metadata(None) == {}


def test_a_run_that_goes_on_has_the_same_classes(tmp_path):
    file = tmp_path / "w.safetensors"
    save_weights(nn.Linear(1, 1), file, metadata=weights_metadata(META))
    check_same_data(file, META)
    check_same_data(file, None)
    with pytest.raises(
        SettingsError, match=r"thing_classes of dataloader.train: 2 \(犬, cat\).*: 2 \(cat, 犬\)"
    ):
        check_same_data(file, META.replace(thing_classes=("犬", "cat")))
    with pytest.raises(SettingsError, match=r"keypoint_names of dataloader\.train: none"):
        check_same_data(file, META.replace(keypoint_names=(), keypoint_oks_sigmas=()))
