"""Lazy config files of detectron2 and of projects that are written for it, as config files of ours.

The text is edited where names differ; formatting and comments stay. The files that it imports by a relative
import are rewritten with it, but for those that our model zoo has. The result is loaded and compared with
what the file said.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lazycfg.config import Node
from lazycfg.config.signatures.modules import hint_at_current_folder
from lazycfg.convert.lazy_files.comparing import Importing, compare, load_texts
from lazycfg.convert.lazy_files.files import Plan, rewrite_relative
from lazycfg.convert.lazy_files.imports import Imports
from lazycfg.convert.lazy_files.rules import Rules
from lazycfg.convert.lazy_files.source import Source
from lazycfg.convert.lazy_files.zoo_parts import module_in_zoo, same_as_in_zoo
from lazycfg.convert.result import Converted, ConvertError
from lazycfg.convert.trees import comment_lines

__all__ = ["convert", "recognises"]

_IMPORT = re.compile(r"^\s*(?:from|import)\s+(?:detectron2|detrex)\b", re.MULTILINE)
_TRAIN = re.compile(r"model_zoo\.common\.train import|get_config\(.common/train\.py.\)")


def recognises(path: Path) -> bool:
    """Return whether a file imports from detectron2 or detrex."""
    return _IMPORT.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def convert(path: Path, overrides: Sequence[str] = ()) -> Converted:
    """Rewrite a file and those that it imports by relative imports.

    Args:
        path: the file.
        overrides: none are taken; they go to the command that uses the config.

    Raises:
        ConvertError: names have no counterpart, all of them with their lines; or the new file does not load.
    """
    if overrides:
        raise ConvertError(
            f"a lazy file is rewritten as it is: give {' '.join(overrides)!r} to the command that uses it"
        )
    first = path.resolve()
    rewriting = _Rewriting(Plan(first, path.name))
    rewriting.add(first)
    if rewriting.problems:
        raise ConvertError("\n".join(dict.fromkeys(rewriting.problems)))
    texts = rewriting.new_texts()
    importing = Importing()
    remarks = list(dict.fromkeys(rewriting.remarks))
    with tempfile.TemporaryDirectory() as folder:
        try:
            new = load_texts(texts, path.name, folder, importing)
            remarks += compare(first, new, importing, rewriting.changed)
        except ConvertError as error:
            if not importing.absent and not isinstance(error.__cause__, ModuleNotFoundError):
                raise
            remarks.append(f"{error}\nso that it was not compared with the old one")
    for package in sorted(importing.absent):
        hint = hint_at_current_folder(package) or f"{package} is not installed"
        remarks.append(f"{hint}; what it has was not checked")
    if rewriting.elsewhere:
        packages = ", ".join(sorted(rewriting.elsewhere))
        remarks.append(f"what needs detectron2 itself is imported as it is ({packages}): see lazycfg.compat")
    if any(_TRAIN.search(text) for text in texts.values()):
        remarks.append(
            "train is the model zoo's: mixed precision is in bfloat16 (detectron2: float16), and "
            "10 checkpoints are kept (100)"
        )
    others = {str(place): text for place, text in texts.items() if place != Path(path.name)}
    text = texts[Path(path.name)].rstrip("\n") + "\n"
    return Converted(text + comment_lines(remarks), tuple(remarks), others)


class _Rewriting:
    """One conversion.

    Attributes:
        plan: where the files go.
        texts: file -> its new text.
        problems: what makes the conversion fail.
        remarks: what a user should know.
        changed: see `Rules`.
        elsewhere: see `Imports`.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.texts: dict[Path, str] = {}
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.changed: set[str] = set()
        self.elsewhere: set[str] = set()

    def add(self, file: Path) -> None:
        """Rewrite a file, then those that it imports. Raises `ConvertError` where it is no Python."""
        if file in self.texts:
            return
        self.texts[file] = ""
        try:
            source = Source(file.read_text(encoding="utf-8"), str(file))
        except SyntaxError as error:
            raise ConvertError(f"{file}:{error.lineno}: {error.msg}") from None
        imports = Imports(source)
        rules = Rules(source, imports)
        rules.visit(source.tree)
        others = rewrite_relative(source, imports, file, self.plan, self._find_in_zoo)
        imports.rewrite()
        self.texts[file] = source.edited()
        self.problems += imports.problems
        self.remarks += rules.remarks
        self.changed |= rules.changed
        self.elsewhere |= imports.elsewhere
        for other in others:
            self.add(other)

    def new_texts(self) -> dict[Path, str]:
        """Return new path -> text."""
        return {self.plan.places[file]: text for file, text in self.texts.items()}

    def _find_in_zoo(self, file: Path, names: Sequence[str]) -> str | None:
        module = module_in_zoo(file)
        if module is None or file == self.plan.first:
            return None
        alone = _Rewriting(Plan(file, file.name))
        try:
            alone.add(file)
            with tempfile.TemporaryDirectory() as folder:
                cfg = load_texts(alone.new_texts(), file.name, folder, Importing())
        except ConvertError:
            return None
        if alone.problems or not isinstance(cfg, Node) or not same_as_in_zoo(cfg, module, names):
            return None
        self.changed |= alone.changed | {"train", "seed", "num_updates", "milestones"}
        return module
