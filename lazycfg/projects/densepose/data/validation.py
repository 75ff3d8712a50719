"""What can be wrong with the DensePose annotation of an object."""

from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.data.datasets.coco_validation import Problem, is_number, is_whole, segmentation_problem

from ..structures import DensePoseDataRelative as Data

__all__ = ["DENSEPOSE_KEYS", "densepose_problem"]

DENSEPOSE_KEYS = (
    Data.X_KEY,
    Data.Y_KEY,
    Data.I_KEY,
    Data.U_KEY,
    Data.V_KEY,
    Data.S_KEY,
    Data.VERTEX_IDS_KEY,
    Data.MESH_NAME_KEY,
)
"""Of annotations, as the files name them."""

# Key, what it is, its smallest and its largest value
RANGES = (
    (Data.X_KEY, "0 to 256, relative to the box", 0, Data.MASK_SIZE),
    (Data.Y_KEY, "0 to 256, relative to the box", 0, Data.MASK_SIZE),
    (Data.I_KEY, "parts, 1 to 24", 1, Data.N_PART_LABELS),
    (Data.U_KEY, "0 to 1", 0, 1),
    (Data.V_KEY, "0 to 1", 0, 1),
    (Data.VERTEX_IDS_KEY, "numbers of vertices", 0, 2**31),
)
WHOLE = (Data.I_KEY, Data.VERTEX_IDS_KEY)
KIND = "DensePose annotation"


def densepose_problem(annotation: Mapping[str, Any], mesh_names: Sequence[str]) -> Problem | None:
    """Return what is wrong with the keys of DensePose of an annotation; None for one that has none of them.

    Args:
        mesh_names: that "ref_model" may name.
    """
    if not any(annotation.get(key) is not None for key in DENSEPOSE_KEYS):
        return None
    has_points = any(annotation.get(key) is not None for key, *_ in RANGES)
    valid, reason = Data.validate_annotation(annotation)
    if has_points and not valid:
        return Problem(f"incomplete {KIND}", f"it has points, but {reason}")
    lengths: dict[str, int] = {}
    for key, meaning, low, high in RANGES:
        values = annotation.get(key)
        if values is None:
            continue
        if not isinstance(values, list | tuple):
            return Problem(f"malformed {KIND}", f"{key} must be a list, got {_short(values)}")
        wrong = [v for v in values if not is_number(v) or not low <= v <= high]
        if not wrong and key in WHOLE:
            wrong = [v for v in values if not is_whole(v)]
        if wrong:
            return Problem(f"wrong {KIND}", f"{key} must be {meaning}, got {_short(wrong[0])}")
        lengths[key] = len(values)
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} of {key}" for key, count in lengths.items())
        return Problem(f"wrong {KIND}", f"its points have different numbers of values: {counts}")
    mesh = annotation.get(Data.MESH_NAME_KEY)
    if annotation.get(Data.VERTEX_IDS_KEY) is not None and mesh not in mesh_names:
        names = ", ".join(mesh_names)
        return Problem("unknown mesh", f"{Data.MESH_NAME_KEY} {_short(mesh)} is none of the meshes {names}")
    return _masks_problem(annotation.get(Data.S_KEY))


def _masks_problem(masks: Any) -> Problem | None:
    if masks is None:
        return None
    parts = [masks] if isinstance(masks, Mapping) else masks
    if not isinstance(parts, list) or len(parts) > Data.N_BODY_PARTS:
        got = f"{len(parts)} of them" if isinstance(parts, list) else _short(parts)
        return Problem(
            f"malformed {KIND}", f"{Data.S_KEY} must be a list of at most 14 RLE masks, or one, got {got}"
        )
    for number, rle in enumerate(parts):
        if isinstance(rle, list) and not rle:
            continue
        problem = (
            segmentation_problem(rle, Data.MASK_SIZE, Data.MASK_SIZE)
            if isinstance(rle, Mapping)
            else Problem("", f"got {_short(rle)}")
        )
        if problem is not None:
            return Problem(
                f"malformed {KIND}",
                f"{Data.S_KEY}[{number}] must be an RLE mask of 256 x 256 pixels: {problem.text}",
            )
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
