"""Hydra's trees of YAML files with `_target_`: composed by hydra, written as config files of ours.

The options of each group of the defaults list become files of their own. The one that the config takes is
imported, and another one is put in its place by an override: `db=file:db/postgres.py#db`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.config import REQUIRED, Node, to_nodes
from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.node import raw_items
from lazycfg.convert.fitting import Edit, fit
from lazycfg.convert.result import Converted, ConvertError
from lazycfg.convert.trees import call, config_text, target_of
from lazycfg.convert.writing import Part, write_config

__all__ = ["convert", "recognises"]

_HYDRAS_OWN = re.compile(r"\$\{(now|hydra)\s*:")
_WHOLE = re.compile(r"\$\{[^{}:]+\}")
_RESOLVER = re.compile(r"\$\{([\w.]+)\s*:")
_GETTERS = ("get_class", "get_method", "get_static_method", "get_object")
_SPECIAL = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")
_MARKS = re.compile(r"^(defaults\s*:|.*\b_target_\s*:|#\s*@package\b)", re.MULTILINE)


def recognises(path: Path) -> bool:
    """Return whether a YAML file has a defaults list, a `_target_` or a `@package`."""
    return _MARKS.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def convert(path: Path, overrides: Sequence[str] = ()) -> Converted:
    """Compose a config and write what it is.

    Args:
        path: the primary config, in the folder that has its groups.
        overrides: those of hydra's command line.

    Raises:
        ConvertError: hydra-core is not installed, though there is something to compose; the config cannot be
            composed; or it has what has no counterpart, all of it with its config paths.
    """
    composer = _Composer(path)
    composed, choices = composer.compose(path.stem, overrides)
    reading = _Reading()
    cfg = reading.read(composed)
    if reading.problems:
        raise ConvertError("\n".join(reading.problems))
    title = f"What {path.name} says" + (f", with {' '.join(overrides)}." if overrides else ".")
    files: dict[str, str] = {}
    parts: dict[str, Part] = {}
    for group, option in choices.items():
        written, edits = _group(composer, cfg, group, option, reading.remarks)
        files.update(written)
        if edits is not None:
            module = f".{group}.{_stem(option)}"
            parts[group] = Part(group, module, group, value=cfg[group], edits=tuple(edits))
    if reading.shared:
        reading.remarks.append(
            f"{', '.join(reading.shared[:3])}: an object is built once, and all places that name it get "
            "that one; hydra builds one for each place. Where they must differ, write a copy: "
            "model.copy()"
        )
    if reading.plain_arguments:
        reading.remarks.append(
            f"{', '.join(reading.plain_arguments[:3])}: hydra hands over DictConfig and ListConfig "
            "where `_convert_` is not set; callees of ours get dicts and lists"
        )
    try:
        # a class at the top is no config unless the file says so, as `to_py` does
        if not parts or any(isinstance(value, type) for _, value in raw_items(cfg)):
            return Converted(config_text(title, cfg, reading.remarks), tuple(reading.remarks), files)
        whole = [parts.get(key) or Part(key, "", key, value=value) for key, value in raw_items(cfg)]
        return Converted(write_config(title, whole, reading.remarks), tuple(reading.remarks), files)
    except ConfigError as error:
        raise ConvertError(str(error)) from error


class _Composer:
    """Composes configs of one folder."""

    def __init__(self, path: Path) -> None:
        self.folder = path.resolve().parent
        self._suffix = path.suffix

    def compose(self, name: str, overrides: Sequence[str] = ()) -> tuple[Any, dict[str, str]]:
        """Return the DictConfig of a primary config, and the option of each group that it takes."""
        try:
            from hydra import compose, initialize_config_dir
            from hydra.errors import HydraException
        except ImportError:
            return self._alone(name, overrides), {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # hydra's own, about OmegaConf
                with initialize_config_dir(str(self.folder), version_base=None):
                    cfg = compose(name, list(overrides), return_hydra_config=True)
        except HydraException as error:
            raise ConvertError(f"hydra cannot compose {name}: {error}") from error
        from omegaconf import OmegaConf, open_dict

        choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
        assert isinstance(choices, dict)
        with open_dict(cfg):
            del cfg["hydra"]
        taken = {
            str(g): str(o) for g, o in choices.items() if o is not None and not str(g).startswith("hydra")
        }
        return cfg, taken

    def _alone(self, name: str, overrides: Sequence[str]) -> Any:
        from omegaconf import OmegaConf

        cfg = OmegaConf.load(self.folder / f"{name}{self._suffix}")
        if "defaults" in cfg or overrides:
            raise ConvertError("a defaults list or overrides are composed by hydra: pip install hydra-core")
        return cfg

    def options(self, group: str) -> list[str]:
        """Return the names of the files of a group."""
        return sorted(p.stem for p in (self.folder / group).glob("*.y*ml") if p.suffix in (".yaml", ".yml"))


def _group(
    composer: _Composer, cfg: Node, group: str, taken: str, remarks: list[str]
) -> tuple[dict[str, str], list[Edit] | None]:
    """Return the files of a group's options, and the edits after which the one that is taken is what the
    config has; None for the edits where it is not a top-level part of the config.
    """
    files: dict[str, str] = {}
    edits: list[Edit] | None = None
    simple = group.isidentifier() and group in cfg
    if not simple:
        if "@" in group or "/" in group:
            remarks.append(f"the group {group} is written out where it stands, as {taken}")
        return files, None
    for option in composer.options(group):
        try:
            composed, _ = composer.compose(f"{group}/{option}")
        except ConvertError as error:
            remarks.append(f"{group}/{option} is left out: {error}")
            continue
        reading = _Reading()
        alone = reading.read(composed)
        if reading.problems or list(alone) != [group]:
            why = "; ".join(reading.problems) or f"it sets {', '.join(map(str, alone)) or 'nothing'}"
            remarks.append(f"{group}/{option} is no file of its own: {why}")
            continue
        place = f"{group}/{_stem(option)}.py"
        text = config_text(f"The option {option} of {group}.", alone)
        files[place] = text
        if option == taken:
            have = cfg.copy()
            have[group] = alone[group]
            edits = fit(have, cfg, group) if isinstance(alone[group], Node) else None
            if edits and any(edit.path == (group,) for edit in edits):
                edits = None
    if len(files) > 1:
        other = next((name for name in files if Path(name).stem != _stem(taken)), None)
        if other is not None:
            remarks.append(f"another choice of {group}: {group}=file:{other}#{group}")
    return files, edits


def _stem(option: str) -> str:
    name = re.sub(r"\W", "_", option)
    return name if name.isidentifier() else f"_{name}"


class _Reading:
    """Makes nodes of a composed config."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.plain_arguments: list[str] = []
        self.shared: list[str] = []
        self._composed: Any = None

    def read(self, composed: Any) -> Node:
        """Return a config as a node, with its `${...}` as they are."""
        from omegaconf import OmegaConf

        self._composed = composed
        plain = OmegaConf.to_container(composed, resolve=False, throw_on_missing=False)
        if not isinstance(plain, dict):
            raise ConvertError(f"the config is a {type(plain).__name__}, not a mapping")
        made = {str(key): self._value(value, str(key)) for key, value in plain.items()}
        root: Node = to_nodes(made)
        return root

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            if "_target_" in value:
                return self._call(value, path)
            return Node({key: self._value(part, f"{path}.{key}") for key, part in value.items()})
        if isinstance(value, list):
            return [self._value(part, f"{path}.{i}") for i, part in enumerate(value)]
        if value == "???":
            return REQUIRED
        if isinstance(value, str):
            if _WHOLE.fullmatch(value) and self._is_call(path):
                self.shared.append(f"{path} = {value}")
            found = _HYDRAS_OWN.search(value)
            if found is not None:
                self.problems.append(
                    f"{path} = {value!r}: ${{{found[1]}:...}} is known to hydra alone; give a value "
                    f"for it as an override, {path}=..."
                )
            for name in _RESOLVER.findall(value):
                remark = (
                    f"{path}: the resolver {name!r} must be registered with OmegaConf, as it was for hydra"
                )
                if found is None and not name.startswith("oc.") and remark not in self.remarks:
                    self.remarks.append(remark)
        return value

    def _is_call(self, path: str) -> bool:
        """Return whether the `${...}` at a path leads to something that is built."""
        from omegaconf import DictConfig, OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            found = OmegaConf.select(self._composed, path)
        except OmegaConfBaseException:  # told when the config is checked
            return False
        return isinstance(found, DictConfig) and "_target_" in found

    def _call(self, value: dict[Any, Any], path: str) -> Any:
        target = value["_target_"]
        if not isinstance(target, str) or "${" in target:
            self.problems.append(f"{path}._target_ = {target!r} is no name: give it as an override")
            return None
        arguments = {key: part for key, part in value.items() if key not in _SPECIAL}
        found = target_of(target, self.remarks)
        if target in [f"hydra.utils.{name}" for name in _GETTERS] and list(arguments) == ["path"]:
            return target_of(str(arguments["path"]), self.remarks)
        if value.get("_convert_") == "none":
            self.problems.append(
                f"{path}._convert_ = 'none' hands over DictConfig: leave it out, or write "
                "L(OmegaConf.create)(obj=...) for the arguments that must be one"
            )
        if "_convert_" not in value:
            self.plain_arguments += [
                f"{path}.{key}"
                for key, part in arguments.items()
                if isinstance(part, list) or (isinstance(part, dict) and "_target_" not in part)
            ]
        kwargs = {key: self._value(part, f"{path}.{key}") for key, part in arguments.items()}
        args = [self._value(part, f"{path}._args_.{i}") for i, part in enumerate(value.get("_args_") or ())]
        odd = [key for key in kwargs if not isinstance(key, str)]
        if odd:
            self.problems.append(f"{path} has the argument {odd[0]!r}, which is no name")
            return None
        try:
            node = call(found, args, kwargs, partial=value.get("_partial_") is True)
        except TypeError as error:
            self.problems.append(f"{path}: {error}")
            return None
        if value.get("_recursive_") is False:
            node["_recursive_"] = False
        return node
