"""Whole detectors in files that run without this library, by `torch.export` and as ONNX."""

from .checking import Bounds, Comparison
from .detector import INFO, ExportReport, export_detector, trace_detector
from .errors import ExportError, NothingFoundError
from .families import refusal

__all__ = [
    "INFO",
    "Bounds",
    "Comparison",
    "ExportError",
    "ExportReport",
    "NothingFoundError",
    "export_detector",
    "refusal",
    "trace_detector",
]
