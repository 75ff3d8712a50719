"""What is written differently with us, in the expressions of a lazy config file of detectron2."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.python_expressions import Expressions
from lazycfg.convert.lazy_files.imports import Imports
from lazycfg.convert.lazy_files.names import find_ours
from lazycfg.convert.lazy_files.source import Source

__all__ = ["Rules"]

_NAMES_OF_DATASET = re.compile(r"\.dataset\.names\}")
_HEURISTICS = "?matching_heuristics=True"


class Rules(ast.NodeVisitor):
    """Goes through a file and collects edits.

    Attributes:
        remarks: what a user should know, with the lines.
        changed: the last keys of config paths whose values differ now from what the file said.
    """

    def __init__(self, source: Source, imports: Imports) -> None:
        self.source = source
        self.imports = imports
        self.remarks: list[str] = []
        self.changed: set[str] = set()
        self._datasets = _dataset_settings(source.tree)

    # ---------------------------------------------------------------- statements

    def visit_Assign(self, node: ast.Assign) -> None:
        """Rewrite `dataloader.train.dataset.names = "..."` and what else is set of a data set by name."""
        place = ast.unparse(node.targets[0])
        base, _, key = place.rpartition(".")
        settings = self._datasets.get(base)
        if len(node.targets) != 1 or settings is None or key not in _SETTINGS or "names" not in settings:
            self.generic_visit(node)
            return
        self.changed.add("dataset")
        if key == "names":
            options = {name: value for name, value in settings.items() if name != "names"}
            options.setdefault("filter_empty", ".train." in f".{base}.")
            self.source.replace(node, f"{base} = {self._dataset(node, settings['names'], options)}")
        else:
            self.source.remove_statement(node)

    # ---------------------------------------------------------------- expressions

    def visit_Call(self, node: ast.Call) -> None:
        """Rewrite a call, or a recorded one."""
        if self._is_create(node):
            self._create(node)
            return
        target = self._lazy_target(node)
        if target is not None:
            if self._recorded(node, target):
                return
        elif self.imports.is_from(node.func, "create_keypoint_hflip_indices") and node.args:
            names = self._names_at(node.args[0])
            if names is not None:
                self.source.replace(node.args[0], _quoted(names))
        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Rewrite the weights of a federated loss, which are computed from the names of data sets."""
        body = node.body
        if isinstance(body, ast.Call) and self.imports.is_from(body.func, "get_fed_loss_cls_weights"):
            call = self.imports.need("lazycfg", "LazyCall")
            weights = self.imports.need("lazycfg.data", "FederatedClassWeights")
            power = self.source.text_of(body.args[1]) if len(body.args) > 1 else "0.5"
            self.source.replace(
                node,
                f"{_local(self.imports, call, 'LazyCall')}({weights})(\n    "
                'json_file="${dataloader.train.dataset.dataset.json_file}", '
                f"freq_weight_power={power}\n)",
            )
            self.imports.drop(node)
            self.changed.add("get_fed_loss_cls_weights")
            return
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Rewrite texts that name data sets or checkpoints."""
        if not isinstance(node.value, str):
            return
        text = _NAMES_OF_DATASET.sub(".dataset}", node.value)
        if text.startswith("detectron2://") and text.endswith(_HEURISTICS):
            text = text.removesuffix(_HEURISTICS)
            self.changed.add("init_checkpoint")
        if text != node.value:
            self.source.replace(node, _quoted(text))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave f-strings as they are: the places of their parts are not known."""

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Rewrite a read of `dataloader.test.dataset.names`, where the file says what they are."""
        if (
            node.attr == "names"
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value).endswith(".dataset")
        ):
            names = self._names_at(node)
            if names is not None:
                self.source.replace(node, _quoted(names))
                return
        self.generic_visit(node)

    # ---------------------------------------------------------------- OmegaConf

    def _is_create(self, node: ast.Call) -> bool:
        origin = self.imports.origin(node.func)
        made = ("omegaconf.OmegaConf.create", "omegaconf.DictConfig", "omegaconf.dictconfig.DictConfig")
        return origin in made and not node.keywords and len(node.args) <= 1

    def _create(self, node: ast.Call) -> None:
        """Write `Node(...)` for `OmegaConf.create(...)`; a list stays a list."""
        self.imports.drop(node.func)
        if node.args and isinstance(node.args[0], ast.List):
            self.source.replace(node, self.source.text_of(node.args[0]))
            return
        self.source.replace(node.func, self.imports.need("lazycfg", "Node"))
        self.generic_visit(node)

    # ---------------------------------------------------------------- recorded calls

    def _lazy_target(self, node: ast.Call) -> ast.expr | None:
        maker = node.func
        if (
            isinstance(maker, ast.Call)
            and len(maker.args) == 1
            and self.imports.is_from(maker.func, "LazyCall")
        ):
            return maker.args[0]
        return None

    def _recorded(self, node: ast.Call, target: ast.expr) -> bool:
        """Rewrite the arguments of a recorded call; return whether the whole call is replaced."""
        origin = self.imports.origin(target)
        if self.imports.is_from(target, "get_detection_dataset_dicts"):
            given = {k.arg: k.value for k in node.keywords if k.arg}
            names = given.get("names") or (node.args[0] if node.args else None)
            literal = _literal(names)
            options = {key: _literal(given.get(key)) for key in _SETTINGS if key in given and key != "names"}
            if literal is not None and None not in options.values():
                options.setdefault("filter_empty", True)
                self.source.replace(node, self._dataset(node, literal, options))
                self.imports.drop(target)
                self.changed.add("dataset")
                return True
        for keyword in node.keywords:
            if keyword.arg == "dataset_name" and origin.startswith("detectron2."):
                self._evaluated(keyword)
            elif keyword.arg == "dataset_dicts" and "repeat_factors_from" in origin:
                self._rename(keyword, "dataset")
        if self.imports.is_from(target, "get_default_optimizer_params"):
            self._model_of_optimizer(node)
        if origin.startswith("detectron2.data.transforms."):
            self._name_arguments(node, origin)
        return False

    def _evaluated(self, keyword: ast.keyword) -> None:
        names = _literal(keyword.value)
        if isinstance(names, str) and "${" not in names:
            value = self._dataset(keyword, names, {"filter_empty": False})
            self.source.replace(keyword, f"dataset={value}")
            self.changed |= {"dataset", "dataset_name"}
            return
        if isinstance(keyword.value, ast.Attribute) and keyword.value.attr == "names":
            self.source.replace(keyword, f"dataset={self.source.text_of(keyword.value.value)}")
            self.changed |= {"dataset", "dataset_name"}
            return
        self._rename(keyword, "dataset")

    def _rename(self, keyword: ast.keyword, name: str) -> None:
        start = self.source.span(keyword)[0]
        old = keyword.arg or ""
        self.source.cut(start, start + len(old.encode()), name)
        self.changed |= {old, name}

    def _model_of_optimizer(self, node: ast.Call) -> None:
        if any(keyword.arg in ("model", None) for keyword in node.keywords) or node.args:
            return
        text = 'model="${model}"'
        self.changed.add("model")
        if not node.keywords:
            self.source.insert(self.source.span(node)[1] - 1, text)
            return
        first = node.keywords[0]
        broken = self.source.is_first_on_line(first)
        separator = ",\n" + " " * self.source.column(first) if broken else ", "
        self.source.insert(self.source.span(first)[0], text + separator)

    def _name_arguments(self, node: ast.Call, origin: str) -> None:
        """Give positional arguments of augmentations their names."""
        found = find_ours(origin)
        if found is None or not node.args or any(isinstance(arg, ast.Starred) for arg in node.args):
            return
        import importlib
        import inspect

        signature = inspect.signature(getattr(importlib.import_module(found[0]), found[1]))
        names = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        if len(node.args) <= len(names):
            for name, arg in zip(names, node.args, strict=False):
                self.source.insert(self.source.span(arg)[0], f"{name}=")

    # ---------------------------------------------------------------- data sets

    def _dataset(self, node: Any, names: Any, options: dict[str, Any]) -> str:
        """Return the expression for what detectron2's catalog has under these names."""
        from lazycfg import LazyCall as L
        from lazycfg.convert.yacs.datasets import builtin_dataset
        from lazycfg.data import ConcatDataset, FilteredDataset

        parts = [builtin_dataset(name) for name in ([names] if isinstance(names, str) else names)]
        if any(part is None for part in parts):
            where = f"{Path(self.source.file).name}:{node.lineno}"
            self.remarks.append(
                f"{where}: the data set {names!r} is of the program's own catalog: "
                "write L(CocoDataset)(name=..., json_file=..., image_root=...) in the place of REQUIRED"
            )
            return self.imports.need("lazycfg", "REQUIRED")
        made: Any = parts[0] if len(parts) == 1 else L(ConcatDataset)(datasets=parts)
        if options.get("filter_empty") or options.get("min_keypoints"):
            more = {key: value for key, value in options.items() if key == "min_keypoints"}
            made = L(FilteredDataset)(dataset=made, **more)
        writer = Expressions()
        for module, name in (("lazycfg", "LazyCall"),):
            local = _local(self.imports, self.imports.need(module, name), name)
        text = writer.expression(encode(made), self.source.column(node), self.source.indent(node))
        for statement in ast.parse(writer.names.header()).body:
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if alias.name != "LazyCall":
                        self.imports.need(statement.module or "", alias.name)
        return text if local == "L" else re.sub(r"\bL\(", f"{local}(", text)

    def _names_at(self, node: ast.expr) -> str | None:
        """Return the names that a file gives to a data set: `dataloader.train.dataset.names`."""
        base, _, key = ast.unparse(node).rpartition(".")
        names = self._datasets.get(base, {}).get("names") if key == "names" else None
        return names if isinstance(names, str) else None


_SETTINGS = ("names", "filter_empty", "min_keypoints")


def _dataset_settings(tree: ast.Module) -> dict[str, dict[str, Any]]:
    """Return what a file assigns to data sets: `dataloader.train.dataset` -> names and options."""
    found: dict[str, dict[str, Any]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            base, _, key = ast.unparse(node.targets[0]).rpartition(".")
            value = _literal(node.value)
            if key in _SETTINGS and base.endswith(".dataset") and value is not None:
                found.setdefault(base, {})[key] = value
    return found


def _literal(node: Any) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def _local(imports: Imports, name: str, wanted: str) -> str:
    """Return how `LazyCall` is called in the file; `L` where it is imported for this."""
    if name == wanted and wanted == "LazyCall":
        imports.needed.get("lazycfg", set()).discard("LazyCall")
        imports.needed.setdefault("lazycfg", set()).add("LazyCall as L")
        return "L"
    return name


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
