"""YAML files of detectron2's configs, with their bases."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lazycfg.convert.result import ConvertError

__all__ = ["places_of", "read_yaml"]

_BASE = "_BASE_"
_THEIR_BASES = (
    "Base-RCNN-FPN.yaml",
    "Base-RCNN-C4.yaml",
    "Base-RCNN-DilatedC5.yaml",
    "Base-RetinaNet.yaml",
    "Base-Keypoint-RCNN-FPN.yaml",
    "Base-Panoptic-FPN.yaml",
)


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the keys that a file sets, those of its bases included, as nested dicts.

    ``_BASE_`` is a path beside the file, an absolute one, or one that begins with ``~``. Texts that are
    Python literals are these, as ``TRAIN: ("coco_2017_train",)``.

    Raises:
        ConvertError: a file is not there or no YAML, it names objects of Python, or bases lead back to
            themselves.
    """
    return _read(Path(path), ())


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    path = path.expanduser()
    if path.resolve() in above:
        chain = " -> ".join(str(file) for file in (*above, path))
        raise ConvertError(f"{_BASE} leads back to the file: {chain}")
    given = _load(path, above)
    base = given.pop(_BASE, None)
    if base is None:
        return given
    if not isinstance(base, str):
        raise ConvertError(f"{path}: {_BASE} is the path of one file, not {base!r}")
    if "://" in base:
        raise ConvertError(f"{path}: {_BASE} {base!r} is no local file; download it and write its path")
    folder = Path(os.path.expanduser(base))
    merged = _read(folder if folder.is_absolute() else path.parent / folder, (*above, path.resolve()))
    merge_into(merged, given)
    return merged


def places_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return where the keys of a file that `read_yaml` reads are written, as ``file:line`` by the key."""
    import yaml

    file = Path(path).expanduser()
    tree = yaml.compose(file.read_text(encoding="utf-8"), Loader=_loader())
    own = dict(_places_in(tree, str(file), ""))
    base = next((value.value for key, value in _pairs_of(tree) if key.value == _BASE), None)
    if base is None:
        return own
    folder = Path(os.path.expanduser(base))
    return places_of(folder if folder.is_absolute() else file.parent / folder) | own


def _places_in(tree: Any, file: str, above: str) -> Iterator[tuple[str, str]]:
    for key, value in _pairs_of(tree):
        name = f"{above}{key.value}"
        yield name, f"{file}:{key.start_mark.line + 1}"
        yield from _places_in(value, file, f"{name}.")


def _pairs_of(tree: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of a mapping; nothing of anything else."""
    return tree.value if getattr(tree, "id", "") == "mapping" else []


def merge_into(merged: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put the keys of one mapping over those of another, which is changed."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merge_into(merged[key], value)
        else:
            merged[key] = value


def _load(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        where = f", the {_BASE} of {above[-1]}" if above else ""
        remedy = "; put detectron2's file of this name there" if path.name in _THEIR_BASES else ""
        raise ConvertError(f"cannot read {path}{where}: {error.strerror}{remedy}") from error
    try:
        loaded = yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ConvertError(f"{path} is no YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConvertError(f"{path} holds a {type(loaded).__name__}, no keys")
    for key, value in loaded.items():
        _check_keys(path, str(key), value)
    return {str(key): decoded(value) for key, value in loaded.items()}


def _check_keys(path: Path, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str | int):
                raise ConvertError(f"{path}: {name} has the key {key!r}, which is no name")
            _check_keys(path, f"{name}.{key}", inner)


def decoded(value: Any) -> Any:
    """Return a value as yacs reads it: texts that are Python literals as these."""
    if isinstance(value, dict):
        return {key: decoded(inner) for key, inner in value.items()}
    if isinstance(value, str):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _loader() -> Any:
    """Return a safe loader that takes tuples and calculations, too."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def build_tuple(loader: Any, node: Any) -> tuple[Any, ...]:
        return tuple(loader.construct_sequence(node, deep=True))

    def build_eval(loader: Any, node: Any) -> Any:
        given = loader.construct_sequence(node, deep=True)
        mark = node.start_mark
        if len(given) != 1 or not isinstance(given[0], str):
            raise ConvertError(f"line {mark.line + 1}: eval takes one text")
        try:
            return calculated(given[0])
        except ConvertError as error:
            raise ConvertError(f"line {mark.line + 1}: {error}") from None

    def refuse(loader: Any, suffix: str, node: Any) -> Any:
        raise ConvertError(
            f"line {node.start_mark.line + 1}: the tag !!python/{suffix} would run code; "
            "write the value itself"
        )

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", build_tuple)
    Loader.add_constructor("tag:yaml.org,2002:python/object/apply:eval", build_eval)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", refuse)
    return Loader


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "round": round,
    "range": range,
    "tuple": tuple,
    "list": list,
}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
_LARGEST = 10_000  # numbers in a list, and an exponent


def calculated(text: str) -> Any:
    """Return the value of a calculation with numbers, as the sizes of anchors are written in some files.

    Numbers, lists, tuples, comprehensions, + - * / // % **, and int, float, round, range, list and tuple are
    taken; nothing is run.

    Raises:
        ConvertError: there is something else in it.
    """
    try:
        tree = ast.parse(text, mode="eval")
        return _value_of(tree.body, {})
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise ConvertError(f"cannot calculate {text!r}: {error}") from None


def _value_of(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value_of(element, names) for element in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value_of(node.operand, names)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value_of(node.left, names), _value_of(node.right, names)
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise ConvertError(f"cannot calculate {ast.unparse(node)!r}: only numbers are")
        if isinstance(node.op, ast.Pow) and (abs(right) > 100 or abs(left) > _LARGEST):
            raise ConvertError(f"{ast.unparse(node)!r} is too large")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is not None:
            return _short(function(*(_value_of(given, names) for given in node.args)))
    if isinstance(node, ast.ListComp) and len(node.generators) == 1:
        loop = node.generators[0]
        if isinstance(loop.target, ast.Name) and not loop.ifs:
            values = _short(_value_of(loop.iter, names))
            return [_value_of(node.elt, {**names, loop.target.id: value}) for value in values]
    raise ConvertError(f"{ast.unparse(node)!r} is no calculation with numbers; write the value itself")


def _short(value: Any) -> Any:
    if isinstance(value, range | list | tuple) and len(value) > _LARGEST:
        raise ConvertError(f"a list of {len(value)} numbers is too long")
    return value
