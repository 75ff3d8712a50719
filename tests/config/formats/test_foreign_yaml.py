"""YAML of detectron2, written by `yaml.dump`: names and calls of Python, under the trust policy."""

import enum
import functools
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from lazycfg.config.formats.document import DataFileError
from lazycfg.config.formats.files import read_data_file
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.trust import TRUST_ALL, UntrustedError
from lazycfg.without_importing.files import StandInDecoder
from lazycfg.without_importing.stand_ins import NEVER

yaml = pytest.importorskip("yaml")


@dataclass
class Shape:
    channels: int
    stride: int = 1


class Size(NamedTuple):
    height: int
    width: int = 2


class Mode(enum.Enum):
    FAST = "fast"


def double(x):
    return 2 * x


VALUES = {
    "steps": (1, (2, 3)),
    "shape": Shape(3, stride=4),
    "size": Size(5),
    "mode": Mode.FAST,
    "function": double,
}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "d2.yaml").write_text(yaml.dump({"model": {"_target_": "torch.nn.Identity", **VALUES}}))
    return tmp_path / "d2.yaml"


def test_values_of_an_allowed_module_are_read(file):
    model = LazyConfig.load(file, allow=["torch.nn", __name__, f"{__name__}.double"]).model
    assert {key: model[key] for key in VALUES} == VALUES
    assert type(model.size) is Size


def test_other_names_are_refused(file):
    with pytest.raises(UntrustedError) as caught:
        LazyConfig.load(file)
    assert "Shape" in str(caught.value)
    assert "double" in str(caught.value)


def test_reading_makes_nothing(file):
    decoder = functools.partial(StandInDecoder, reading=NEVER)
    cfg = read_data_file(file, policy=TRUST_ALL, decoder=decoder)
    assert repr(cfg.model.shape) == "Shape(channels=3, stride=4)"
    assert str(cfg.model.function) == f"{__name__}.double"


@pytest.mark.parametrize(
    "text",
    [
        "!!python/module:os ''",
        "!!python/object/apply:os.system ['true']",
        "!!python/object/new:os.system {state: 1}",
    ],
)
def test_nothing_else_of_python_is_made(tmp_path, text):
    (tmp_path / "d2.yaml").write_text(f"x: {text}\n")
    with pytest.raises((DataFileError, UntrustedError)):
        LazyConfig.load(tmp_path / "d2.yaml")
