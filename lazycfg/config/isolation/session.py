"""Running config files: every load is a session of its own.

A config file is executed as a module that nobody else sees: its ``__builtins__`` is a dict of the session
whose ``__import__`` resolves relative imports between files (no package needed) and modules of packages of
configs; everything else is Python's import. So nothing is patched, threads do not meet, a file runs once
per session (see `sharing` for the one exception), and two sessions share no object. Only the compiled code is
kept between loads.
"""

import builtins
import linecache
import os
import re
import sys
import threading
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from lazycfg.config.isolation.bindings import Bindings, bindings_of, parse_source
from lazycfg.config.isolation.omegaconf_names import omegaconf_view
from lazycfg.config.isolation.packages import find_config_package
from lazycfg.config.isolation.sharing import Ledger, Own, Runs
from lazycfg.config.isolation.top_level import imported_from_code
from lazycfg.config.signatures.modules import hint_at_current_folder
from lazycfg.config.signatures.python_text import Assigned
from lazycfg.config.suggest import closest
from lazycfg.config.tree.node import Node, raw_items, to_nodes
from lazycfg.config.tree.position import note_config_file, position_of, set_position, stamp
from lazycfg.config.tree.targets import CONFIG_MODULES, note_module_of_file

_CODE_LIMIT = 4096
_code: dict[str, tuple[bytes, CodeType, Bindings]] = {}
_running: dict[str, int] = {}
_running_lock = threading.Lock()

ImportFunction = Callable[[str, Mapping[str, object] | None, Sequence[str]], Any]


class ConfigModule(ModuleType):
    """The module of one config file in one session.

    Attributes:
        _lazycfg_key: the file, as `Runs` knows it.
        _lazycfg_site: the import statement that made the file run.
        _lazycfg_bindings: how the file binds its names.
        _lazycfg_sources: the modules that it imports from, by level and name as written.
        _lazycfg_runs: where the files that it imports are run.
        _lazycfg_stamps: of all files of the load, to know whether they are edited later.
    """

    def __init__(self, name: str, file: str, imported_from: "_ImportSite | None") -> None:
        super().__init__(name)
        self.__file__ = file
        self._lazycfg_key = file
        self._lazycfg_site = imported_from
        self._lazycfg_bindings = Bindings()
        self._lazycfg_sources: dict[tuple[int, str], ModuleType] = {}
        self._lazycfg_runs = Runs()
        self._lazycfg_stamps: dict[str, int] = {}
        self._lazycfg_running = True


@dataclass(frozen=True, slots=True, eq=False)
class _ImportSite:
    """Where an import statement stands: the module and its file, the line, and who imported that file."""

    module: ConfigModule | None
    file: str
    line: int
    outer: "_ImportSite | None"


def python_import(name: str, module_globals: Mapping[str, object] | None, fromlist: Sequence[str]) -> Any:
    """Return an ordinary absolute import."""
    return builtins.__import__(name, module_globals, None, fromlist, 0)


def run_file(file: str, import_absolute: ImportFunction = python_import) -> ModuleType:
    """Execute a config file in a session of its own; again, with files run apart, as long as one of them
    would see the edits of another (see `sharing`).
    """
    own: Own = {}
    while True:
        session = Session(import_absolute, own)
        try:
            module = session.run(file)
        except Exception:
            if not session.part_ways(own):
                raise
            continue
        if not session.part_ways(own):
            return module


class Session:
    """One load.

    Args:
        import_absolute: stands for Python's import (the read-only commands defer it).
        own: which files have runs of their own of others.
    """

    def __init__(
        self, import_absolute: ImportFunction = python_import, own: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self._runs = Runs()
        self._own = own or {}
        self._ledger = Ledger()
        self._root: ModuleType | None = None
        self._by_namespace: dict[int, ConfigModule] = {}
        self._import_absolute = import_absolute
        self._builtins = {**vars(builtins), "__import__": self._import}
        self._copies: dict[int, Any] = {}
        self._stamps: dict[str, int] = {}
        self._lock = threading.RLock()

    def part_ways(self, own: Own) -> bool:
        """Add to ``own`` what the files of this load would need; False when nothing is missing."""
        more = {} if self._root is None else self._ledger.conflicts(self._root)
        before = dict(own)
        for editor, files in more.items():
            own[editor] = own.get(editor, frozenset()) | files
        return own != before

    # ---------------------------------------------------------------- running files

    def run(
        self,
        file: str,
        imported_from: _ImportSite | None = None,
        folder: str | None = None,
    ) -> ModuleType:
        """Execute a config file, or return its module when this session has run it already."""
        key = os.path.join(os.path.realpath(os.path.dirname(file)), os.path.basename(file))
        with self._lock:
            level = self._runs_for(imported_from).holding(key)
            known = level.modules.get(key)
            if known is not None:
                self._note_import(imported_from, known)
                return known
            module = ConfigModule(_module_name(file, folder), file, imported_from)
            module._lazycfg_key = key
            module._lazycfg_stamps = self._stamps
            module._lazycfg_runs = Runs(level, self._own[key]) if key in self._own else level
            self._root = self._root or module
            self._by_namespace[id(vars(module))] = module
            self._note_import(imported_from, module)
            if folder is not None:
                module.__path__ = [folder]
            level.modules[key] = module
            try:
                code, module._lazycfg_bindings, self._stamps[file] = _compile(file)
                self._execute(code, module)
                self._make_nodes(module)
                module._lazycfg_running = False
            except BaseException as error:
                del level.modules[key]
                if isinstance(error, Exception):
                    _note_chain(error, file, imported_from)
                raise
            self._ledger.note_end(module)
            return module

    def _runs_for(self, site: _ImportSite | None) -> Runs:
        return self._runs if site is None or site.module is None else site.module._lazycfg_runs

    def _note_import(self, site: _ImportSite | None, imported: ModuleType) -> None:
        if site is not None and site.module is not None and site.module is not imported:
            self._ledger.note_import(site.module, imported)

    def _make_nodes(self, module: ModuleType) -> None:
        """Turn the file's own dicts into nodes, so that an importing file edits them by attribute too.

        All names go through one conversion: a dict that several of them hold becomes one node.
        """
        foreign = imported_from_code(module)
        holders = {
            name: value
            for name, value in vars(module).items()
            if type(value) in (dict, list, tuple, Node)
            and (not name.startswith("__") or name == "__config__")
            and name not in foreign
        }
        if holders:
            made = to_nodes(holders)
            for name, value in raw_items(made):
                if holders[name] is not value and type(value) is Node and position_of(value) is None:
                    set_position(value, Assigned(str(module.__file__), (name,), self._stamps))
            vars(module).update(raw_items(made))

    def _execute(self, code: CodeType, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        name = module.__name__
        # dataclasses and typing look the running module up in sys.modules; it is there only while it runs
        with _running_lock:
            _running[name] = _running.get(name, 0) + 1
            sys.modules[name] = module
        try:
            exec(code, module.__dict__)
        finally:
            with _running_lock:
                _running[name] -= 1
                if not _running[name]:
                    del _running[name]
                    sys.modules.pop(name, None)

    # ---------------------------------------------------------------- imports of config files

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Return the ``__import__`` of config files."""
        names = tuple(fromlist or ())
        if level > 0:
            return self._import_relative(name, globals or {}, names, level)
        found = find_config_package(name)
        if found is not None:
            return self._import_from_package(name, found, globals or {}, names)
        omegaconf = omegaconf_view(name, names)
        if omegaconf is not None:
            return omegaconf
        try:
            module = self._import_absolute(name, globals, names)
        except ModuleNotFoundError as error:
            _hint_at_dot(error, name, globals or {})
            raise
        return self._with_own_nodes(module, names)

    def _import_relative(
        self, name: str, module_globals: Mapping[str, object], names: Sequence[str], level: int
    ) -> ModuleType:
        site = self._site(module_globals)
        base = Path(site.file).parent
        for _ in range(level - 1):
            if base == base.parent:
                raise ImportError(f"relative import with {level} dots leaves the file system, in {site.file}")
            base = base.parent
        spelled = "." * level + name
        module = self._package(base, site)
        if name:
            module = self._descend(module, base, name.split("."), spelled, site)
        elif (init := base / "__init__.py").is_file():
            module = self._seen_from(site, self.run(str(init), site, folder=str(base)))
        self._bind_names(module, names, spelled, site)
        if site.module is not None:
            site.module._lazycfg_sources[level, name] = module
        return module

    def _import_from_package(
        self,
        name: str,
        found: tuple[str, str],
        module_globals: Mapping[str, object],
        names: Sequence[str],
    ) -> ModuleType:
        package, folder = found
        site = self._site(module_globals)
        parts = name.split(".")
        depth = package.count(".") + 1
        # the package itself is ordinary code (get_config, ...); what is below it are config files
        top = module = _PackageView(python_import(parts[0], module_globals, ()))
        for index in range(1, depth):
            real = python_import(".".join(parts[: index + 1]), module_globals, ("__name__",))
            child = _PackageView(real)
            setattr(module, parts[index], child)
            module = child
        leaf: ModuleType = module
        if len(parts) > depth:
            leaf = self._descend(module, Path(folder), parts[depth:], name, site)
        if not names:
            return top
        self._bind_names(leaf, names, name, site)
        if site.module is not None:
            site.module._lazycfg_sources[0, name] = leaf
        return leaf

    def _descend(
        self, module: ModuleType, folder: Path, parts: Sequence[str], spelled: str, site: _ImportSite
    ) -> ModuleType:
        for part in parts:
            child = self._submodule(folder, part, site)
            if child is None:
                raise ModuleNotFoundError(
                    f"no config file or folder {part!r} in {folder}, imported as {spelled!r}"
                    f"{closest(part, modules_in(folder))}",
                    name=part,
                    path=str(folder),
                )
            child = self._seen_from(site, child)
            setattr(module, part, child)
            module, folder = child, folder / part
        return module

    def _seen_from(self, site: _ImportSite, module: ModuleType) -> ModuleType:
        """Return a package as a file sees it that has its own runs of other files: they become attributes."""
        apart = self._runs_for(site) is not self._runs
        return _PackageView(module) if apart and hasattr(module, "__path__") else module

    def _submodule(self, folder: Path, name: str, site: _ImportSite) -> ModuleType | None:
        """Return the module ``name`` of a folder: a package, a file or a plain folder; None for none."""
        inner = folder / name
        init, file = inner / "__init__.py", folder / f"{name}.py"
        if init.is_file():
            return self.run(str(init), site, folder=str(inner))
        if file.is_file():
            return self.run(str(file), site)
        return self._namespace(inner) if inner.is_dir() else None

    def _package(self, folder: Path, site: _ImportSite) -> ModuleType:
        """Return the module that stands for the folder where ``from .x import y`` starts.

        Its ``__init__.py`` is not run: a config file needs no package around it, and one that lies in a
        package of code does not run that code. (``from . import name`` does run it, as the name may be
        defined there.)
        """
        key = os.path.join(os.path.realpath(folder), "__init__.py")
        known = self._runs_for(site).holding(key).modules.get(key)
        return self._seen_from(site, known or self._namespace(folder))

    def _namespace(self, folder: Path) -> ModuleType:
        key = os.path.realpath(folder)
        with self._lock:
            if key not in self._runs.modules:
                module = ModuleType(_module_name(str(folder), str(folder)))
                module.__path__ = [str(folder)]
                self._runs.modules[key] = module
            return self._runs.modules[key]

    def _bind_names(self, module: ModuleType, names: Sequence[str], spelled: str, site: _ImportSite) -> None:
        """Make every imported name an attribute of ``module``, running submodules where a name means one."""
        path = getattr(module, "__path__", None)
        folder = Path(path[0]) if path else None
        if "*" in names:
            names = [name for name in names if name != "*"] + list(getattr(module, "__all__", ()))
        for name in names:
            bound = getattr(module, name, None)
            # a module that real code has imported below a package of configs is not this session's module
            stale = (
                isinstance(module, _PackageView)
                and isinstance(bound, ModuleType)
                and name not in vars(module)
            )
            if hasattr(module, name) and not stale:
                if isinstance(bound, ConfigModule):
                    self._note_import(site, bound)
                continue
            child = self._submodule(folder, name, site) if folder is not None else None
            if child is not None:
                setattr(module, name, child)
            elif not stale:
                raise _missing_name(module, name, spelled, folder)

    def _site(self, module_globals: Mapping[str, object]) -> _ImportSite:
        """Return where the import statement that runs now is."""
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals is not module_globals:
            frame = frame.f_back
        outer = module_globals.get("_lazycfg_site")
        line = frame.f_lineno if frame.f_globals is module_globals else 0
        return _ImportSite(
            self._by_namespace.get(id(module_globals)),
            str(module_globals.get("__file__")),
            line,
            outer if isinstance(outer, _ImportSite) else None,
        )

    # ---------------------------------------------------------------- imports of ordinary modules

    def _with_own_nodes(self, module: Any, names: Sequence[str]) -> Any:
        """Return nodes that live in an ordinary module are copied, once per session, before a config file
        edits them.
        """
        if not names or not isinstance(module, ModuleType):
            return module
        namespace = vars(module)
        nodes = {name: namespace[name] for name in names if isinstance(namespace.get(name), Node)}
        if not nodes:
            return module
        view = _PackageView(module)
        for name, node in nodes.items():
            if id(node) not in self._copies:
                self._copies[id(node)] = node.copy()
            setattr(view, name, self._copies[id(node)])
        return view


class _PackageView(ModuleType):
    """A real module with some attributes replaced for one session."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__)
        self._lazycfg_real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lazycfg_real, name)


def _module_name(file: str, folder: str | None) -> str:
    """Return a name that no real module has, the same at every load of the file."""
    stem = re.sub(r"\W", "_", Path(folder).name if folder is not None else Path(file).stem)
    name = f"{CONFIG_MODULES}{stem}_{zlib.crc32(file.encode()):08x}"
    note_module_of_file(name, file)
    return name


def _compile(file: str) -> tuple[CodeType, Bindings, int]:
    """Return the code of a file, how it binds its names, and its stamp; the code is kept as long as the bytes
    are the same.
    """
    data = Path(file).read_bytes()
    known = _code.get(file)
    if known is not None and known[0] == data:
        return known[1], known[2], stamp(data)
    tree = parse_source(data, file)
    bindings = bindings_of(tree)
    code = compile(tree, file, "exec", dont_inherit=True)
    if len(_code) >= _CODE_LIMIT:
        _code.clear()
    _code[file] = (data, code, bindings)
    note_config_file(file)
    return code, bindings, stamp(data)


def _hint_at_dot(error: ModuleNotFoundError, name: str, module_globals: Mapping[str, object]) -> None:
    """Say how to import a file that lies beside the config, or in the current folder."""
    first = name.partition(".")[0]
    if error.name != first:
        return
    if first in modules_in(Path(str(module_globals.get("__file__"))).parent):
        error.add_note(f"{first!r} is beside the config file: write a dot before it, from .{name} import ...")
    elif hint := hint_at_current_folder(first):
        error.add_note(hint)


def modules_in(folder: Path) -> list[str]:
    """Return the names of the modules that lie in a folder."""
    if not folder.is_dir():
        return []
    return [
        p.stem if p.suffix == ".py" else p.name for p in folder.iterdir() if p.suffix == ".py" or p.is_dir()
    ]


def _missing_name(module: ModuleType, name: str, spelled: str, folder: Path | None) -> ImportError:
    file = getattr(module, "__file__", None)
    candidates = [key for key in vars(module) if not key.startswith("__")]
    if folder is not None:
        candidates += modules_in(folder)
    where = file or str(folder)
    if getattr(module, "_lazycfg_running", False):
        reason = ", which is still running: the config files import each other in a circle"
    else:
        reason = closest(name, [c for c in candidates if not c.startswith("_lazycfg_")])
    return ImportError(f"cannot import {name!r} from {spelled!r} ({where}){reason}", name=name, path=where)


def _note_chain(error: Exception, file: str, site: _ImportSite | None) -> None:
    """Say which config file failed and who imported it, once, at the innermost file."""
    lines = [f"while loading config file {file}"]
    outer = site
    while outer is not None:
        lines.append(f"  imported from {outer.file}, line {outer.line}")
        outer = outer.outer
    noted = getattr(error, "__notes__", ())
    if not any(
        note.startswith("while loading config file ") and f"from {file}, line" in note for note in noted
    ):
        error.add_note("\n".join([*lines, *_remedy(error)]))


def _remedy(error: Exception) -> list[str]:
    """Return what to write where a name is not imported, a field of a frozen value is assigned, or a module
    that is no config file puts a call into a container of OmegaConf.
    """
    if isinstance(error, NameError):
        from lazycfg.config.isolation.missing_names import how_to_bind

        return how_to_bind(error)
    if type(error).__name__ == "FrozenInstanceError":
        field = str(error).rpartition("field ")[2].strip("'")
        return [f"such a value is replaced as a whole: x = dataclasses.replace(x, {field}=...)"]
    if type(error).__name__ != "UnsupportedValueType" or "Node" not in str(error):
        return []
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    culprit = next((file for file in reversed(files) if f"{os.sep}omegaconf{os.sep}" not in file), "")
    return [
        f"OmegaConf takes no calls: in {culprit}",
        "write Node() for OmegaConf.create() (from lazycfg import Node); `lazycfg convert` does it",
    ]


def run_source(source: str, file: str) -> ModuleType:
    """Run the source code that a data file brings, as a module of its own."""
    name = f"<source in {file}>"
    code = compile(source, name, "exec", dont_inherit=True)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = ConfigModule(_module_name(name, None), name, None)
    try:
        Session()._execute(code, module)
    except Exception as error:
        error.add_note(f"while running the source code in data file {file}")
        raise
    return module
