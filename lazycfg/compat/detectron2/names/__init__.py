"""The names of detectron2, fvcore and iopath, each with what answers it. Facts, no code."""

from __future__ import annotations

from lazycfg.compat.finder import Gone

from ._table import Table
from .core import CORE
from .data import DATA
from .engine import ENGINE
from .foreign import FVCORE, IOPATH
from .modeling import MODELING
from .projects import PROJECTS
from .reexported import with_reexported

__all__ = ["DETECTRON2", "DETECTRON2_GONE", "FVCORE", "IOPATH"]

DETECTRON2: dict[str, Table] = with_reexported({**CORE, **DATA, **ENGINE, **MODELING, **PROJECTS})

_EXPORT = Gone(
    "Caffe2 and torch.jit are no longer maintained; lazycfg.export.export_detector writes a detector by "
    "torch.export or as ONNX"
)

DETECTRON2_GONE: dict[str, Gone] = {
    "detectron2._C": Gone("lazycfg has no compiled extension; its layers are made of torch and torchvision"),
    "detectron2.export.api": _EXPORT,
    "detectron2.export.caffe2_export": _EXPORT,
    "detectron2.export.caffe2_inference": _EXPORT,
    "detectron2.export.caffe2_modeling": _EXPORT,
    "detectron2.export.shared": _EXPORT,
    "detectron2.export.torchscript": _EXPORT,
    "detectron2.export.torchscript_patch": _EXPORT,
    "detectron2.utils.develop": Gone("import what you need where you need it"),
}
