"""Which objects a data file (or a command line, when asked) may name: an allow list, given by the calling
code.

An entry is a dotted name or an object. A package or module allows what is *defined* in it or below; a name
of one object, or the object itself, allows exactly that object. What counts is the object that a written
name leads to, not the name: it must be what its own ``__module__`` and ``__qualname__`` say, and that name
must lie below an entry. So ``torch.nn.utils.rnn.torch.os.system`` is refused although it is spelt below
``torch.nn``.

Callables that turn data into code (``eval``, ``getattr``, ``functools.partial``, ``torch.load``, ...) are
refused below any package entry; only an entry that names such an object exactly allows it. Nothing outside
the allowed packages is imported, not even to look at it. A policy is immutable, and nothing in a config can
reach it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.importable import ImportName, find_name, resolve_name
from lazycfg.config.suggest import closest

__all__ = ["DEFAULT_ALLOW", "TRUST_ALL", "Policy", "UntrustedError"]

_DEFAULT_TEXT = """
    lazycfg.structures lazycfg.layers lazycfg.modeling lazycfg.data lazycfg.solver lazycfg.evaluation
    torch.nn torch.optim torchvision.ops builtins.bool builtins.bytes builtins.complex builtins.dict
    builtins.float builtins.frozenset builtins.int builtins.list builtins.max builtins.min
    builtins.range builtins.round builtins.set builtins.slice builtins.sorted builtins.str builtins.sum
    builtins.tuple builtins.abs builtins.len builtins.object collections.Counter collections.OrderedDict
    collections.defaultdict datetime decimal.Decimal fractions.Fraction uuid.UUID re.compile torch.Size
    torch.device torch.tensor numpy.array numpy.dtype numpy.empty
    operator.is_not lazycfg.engine.PreciseBN
    resolver:oc.env:DETECTRON2_DATASETS resolver:oc.env:LAZYCFG_WEIGHTS
"""
DEFAULT_ALLOW: tuple[str, ...] = tuple(_DEFAULT_TEXT.split())
"""What a data file may name when the calling code gives no list of its own: the components of this library,
the layers and optimizers of torch, and plain values."""

# Whole modules whose callables run code, load code, or reach the system: never allowed by a package entry.
_DANGEROUS_MODULES_TEXT = """
    _io _pickle _posixsubprocess _thread ast asyncio atexit bdb cProfile cffi cloudpickle code codeop
    concurrent copyreg ctypes dill distutils ensurepip fileinput fsspec functools gc glob http imp
    importlib inspect io jinja2 joblib lazycfg.cli lazycfg.config lazycfg.model_zoo lazycfg.projects
    linecache logging marshal mmap multiprocessing nt ntpath numba numpy.ctypeslib numpy.distutils
    numpy.f2py numpy.lib numpy.testing omegaconf operator os pathlib pdb pickle pickletools pip pkgutil
    lazycfg.data.datasets.coco_export torch.nn.attention torch.nn.cpp torch.onnx torch.profiler
    torch.testing torch.utils.benchmark torch.utils.bottleneck torch.utils.collect_env torch.utils.hipify
    platform posix posixpath profile pty pydoc runpy sched select setuptools shelve shlex shutil signal
    site socket socketserver sqlite3 ssl subprocess sys sysconfig tempfile test threading timeit
    torch._C torch._dynamo torch._inductor torch._ops torch.distributed torch.export torch.fx torch.hub
    torch.jit torch.library torch.multiprocessing torch.ops torch.package torch.serialization
    torch.utils.bundled_inputs torch.utils.cpp_extension torch.utils.model_zoo trace traceback turtle
    types unittest urllib venv warnings weakref webbrowser xml yaml zipapp zipfile zipimport
"""
_DANGEROUS_MODULES = frozenset(_DANGEROUS_MODULES_TEXT.split())
_DANGEROUS_NAMES_TEXT = """
    abc.ABCMeta builtins.__build_class__ builtins.__import__ builtins.breakpoint builtins.callable
    builtins.classmethod builtins.compile builtins.delattr builtins.eval builtins.exec builtins.exit
    builtins.filter builtins.getattr builtins.globals builtins.help builtins.input builtins.iter
    builtins.locals builtins.map builtins.memoryview builtins.open builtins.print builtins.property
    builtins.quit builtins.setattr builtins.staticmethod builtins.super builtins.type builtins.vars
    collections.namedtuple dataclasses.make_dataclass enum.EnumMeta enum.EnumType numpy.apply_along_axis
    numpy.fromfile numpy.fromfunction numpy.frompyfunc numpy.fromregex numpy.genfromtxt numpy.load
    numpy.loadtxt numpy.memmap numpy.piecewise numpy.save numpy.savetxt numpy.vectorize torch.compile
    torch.from_file torch.load torch.save
"""
_DANGEROUS_NAMES = frozenset(_DANGEROUS_NAMES_TEXT.split())

_FUNCTION_LIKE = (type, FunctionType, BuiltinFunctionType, MethodType, MethodDescriptorType)
# What `getattr` nodes of data files may read from any module: plain facts and its parameters.
_PLAIN_ATTRIBUTES = frozenset(
    (
        *("parameters", "named_parameters", "buffers", "named_buffers", "modules", "children", "weight"),
        *("bias", "in_channels", "out_channels", "in_features", "out_features", "num_features"),
    )
)


# Private attributes, and those of frames, generators, code and tracebacks, which lead to everything.
_INNER_PARTS = ("_", "f_", "gi_", "cr_", "ag_", "co_", "tb_", "func_")

# `${name:...}`, and an interpolation inside another one, which could spell any name
_RESOLVER = re.compile(r"\$\{([^${}:]*):([^${}]*)|\$\{[^}]*\$\{")
# Resolvers that look at nothing but the config itself
_INNER_RESOLVERS = frozenset(["oc.select", "oc.dict.keys", "oc.dict.values"])


class UntrustedError(ConfigError, PermissionError):
    """Names that the policy does not allow; nothing was built, and nothing outside the allowed packages
    imported.

    Attributes:
        refused: each of them, with its place.
        listing: all of them as text, without what the calling code can do about it.
    """

    def __init__(self, refused: Iterable[str], hint: str = ""):
        self.refused = list(refused)
        self.listing = "not allowed:\n  " + "\n  ".join(self.refused)
        super().__init__(f"{self.listing}\n{hint}" if hint else self.listing)

    def with_options(self) -> str:
        """The message of a command that has the options ``--allow`` and ``--trusted``."""
        return (
            f"{self.listing}\nadd --allow NAME for each name that the file may have, or --trusted if you "
            "trust it as you trust code"
        )


class Policy:
    """An allow list. ``Policy(None)`` is `DEFAULT_ALLOW`; `TRUST_ALL` allows everything.

    Args:
        allow: names of packages, modules or objects (``"torch.nn"``), or modules, classes and functions
            themselves. A package stands for the public classes and functions in it, an object for itself
            alone. Modules that reach the system are never meant by a package; but that list cannot be
            complete, and a package of which you need three classes is better given as these.
            ``"resolver:NAME"`` allows interpolations ``${NAME:...}``, and ``"resolver:oc.env:VARIABLE"``
            those of one environment variable. Resolvers that look only at the config (``oc.select``,
            ``oc.dict.keys``, ``oc.dict.values``) need no entry.
    """

    __slots__ = ("_all", "_exact", "_objects", "_packages", "_resolvers")
    _all: bool
    _exact: frozenset[str]
    _objects: tuple[Any, ...]
    _packages: frozenset[str]
    _resolvers: frozenset[str]

    def __init__(self, allow: Iterable[Any] | None = None, *, everything: bool = False):
        entries = DEFAULT_ALLOW if allow is None else allow
        if isinstance(entries, str):
            entries = (entries,)
        names, objects, resolvers = set(), [], set()
        for entry in entries:
            if isinstance(entry, str) and entry.startswith("resolver:"):
                resolvers.add(entry.removeprefix("resolver:"))
            elif isinstance(entry, str):
                names.add(entry)
            elif isinstance(entry, ModuleType):
                names.add(entry.__name__)
            else:
                objects.append(entry)
        set_once = object.__setattr__
        set_once(self, "_all", everything)
        set_once(self, "_packages", frozenset(names))
        set_once(self, "_exact", frozenset(names))
        set_once(self, "_objects", tuple(objects))
        set_once(self, "_resolvers", frozenset(resolvers))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a policy cannot be changed; make another one")

    @property
    def everything(self) -> bool:
        """Whether nothing is refused."""
        return bool(self._all)

    def allows_resolver(self, name: str) -> bool:
        """Whether ``${name:...}`` may run; of `oc.env` the name goes on with the variable."""
        return bool(self._all) or name in _INNER_RESOLVERS or name in self._resolvers

    def resolve(self, written: str) -> Any:
        """The object that a written name stands for.

        Raises:
            UntrustedError: the policy does not allow it.
            ImportError: an allowed name leads nowhere.
        """
        if self._all:
            return resolve_name(written)
        listed = self._listed_object(written)
        if listed is not None:
            return listed
        if not self.may_import(written):
            raise UntrustedError(
                [f"{written!r} lies in no allowed package{closest(written, self._exact, 0.8)}"]
            )
        found = resolve_name(written)
        reason = self.why_refused(found, written)
        if reason is not None:
            raise UntrustedError([reason])
        return found

    def why_refused(self, found: Any, written: str) -> str | None:
        """Why an object may not be named by a data file; None when it may."""
        if self._all or any(found is obj for obj in self._objects):
            return None
        name = find_name(found)
        if isinstance(found, ModuleType):
            return f"{written!r} is a module"
        if name is None:
            return f"{written!r} is not defined under a name of its own"
        canonical = str(name)
        if canonical in self._exact or (written in self._exact and _is_same(written, found)):
            return None
        if self._is_dangerous(canonical) or self._is_dangerous(written):
            return f"{written!r} can run or load code (it is {canonical!r}); only that exact name allows it"
        if any(part.startswith("_") for part in (*name.qualname.split("."), *written.split("."))):
            return f"{written!r} is private ({canonical!r})"
        if not isinstance(found, _FUNCTION_LIKE):
            return f"{written!r} is a {type(found).__qualname__}, neither class nor function"
        if isinstance(found, type) and issubclass(found, type):
            return f"{written!r} is a metaclass"
        if not self._holds(name.module):
            return f"{written!r} is {canonical!r}, which lies in no allowed package"
        if not isinstance(found, type) and not _needs_no_instance(name):
            return f"{written!r} is a method, which a file could give any object to"
        return None

    def why_text_refused(self, text: str, *, is_target: bool) -> str | None:
        """Why a text may not stand in an untrusted config: as a target, or because of its interpolations."""
        for match in _RESOLVER.finditer(text):
            name = None if match[1] is None else match[1].strip()
            if name is None and not self._all:
                return f"an interpolation that is put together by another one, in {text!r}"
            if name is None or self.allows_resolver(name):
                continue
            ends = "," in match[2] or text[match.end() : match.end() + 1] == "}"  # else it is put together
            variable = f"oc.env:{match[2].partition(',')[0].strip() if ends else match[2] + '...'}"
            if name != "oc.env":
                return f"the resolver {name!r} in {text!r}"
            if not self.allows_resolver(variable):
                return f"the resolver {variable!r} in {text!r}"
        if is_target and "${" in text and not self._all:
            return f"a target that is an interpolation, {text!r}"
        if is_target and "." in text:
            try:
                self.resolve(text)
            except UntrustedError as error:
                return error.refused[0]
            except ImportError:
                return None  # building says so, with a suggestion
        return None

    def allows_attribute(self, owner: Any, attribute: Any) -> bool:
        """Whether an attribute of what a call of ``owner`` builds may be read (``L.attr``, ``L.method``)."""
        if self._all:
            return True
        if type(attribute) is not str or not attribute.isidentifier():
            return False
        if attribute.startswith(_INNER_PARTS):
            return False
        if attribute in _PLAIN_ATTRIBUTES:
            return True
        name = find_name(owner)
        if name is None or self._is_dangerous(str(name)):
            return False
        given = self._packages.difference(DEFAULT_ALLOW)
        return name.module.startswith("lazycfg.") or any(
            f"{name}.".startswith(f"{entry}.") for entry in given
        )

    def _listed_object(self, written: str) -> Any:
        for obj in self._objects:
            name = find_name(obj)
            if name is not None and str(name) == written:
                return obj
        return None

    def may_import(self, written: str) -> bool:
        """Whether a dotted name may be imported, to see what it is."""
        names = all(part.isidentifier() for part in written.split("."))
        return bool(self._all) or (names and self._below(written))

    def _below(self, name: str) -> bool:
        return any(name == entry or name.startswith(f"{entry}.") for entry in self._packages)

    def _holds(self, module: str) -> bool:
        """Whether a module is an allowed one, or lies in an allowed package. (An entry that names a class or
        function allows that alone.)"""
        return any(module == entry or module.startswith(f"{entry}.") for entry in self._packages)

    def _is_dangerous(self, canonical: str) -> bool:
        if canonical in _DANGEROUS_NAMES:
            return True
        parts = canonical.split(".")
        return any(".".join(parts[:end]) in _DANGEROUS_MODULES for end in range(1, len(parts) + 1))


def _needs_no_instance(name: ImportName) -> bool:
    """Whether a function stands in a module, or in a class as a class method or static method."""
    owner, _, last = name.qualname.rpartition(".")
    if not owner:
        return True
    try:
        cls = resolve_name(f"{name.module}.{owner}")
    except ImportError:
        return False
    for base in getattr(cls, "__mro__", ()):
        if last in vars(base):
            return isinstance(vars(base)[last], classmethod | staticmethod | ClassMethodDescriptorType)
    return False


def _is_same(written: str, found: Any) -> bool:
    try:
        return resolve_name(written) is found
    except ImportError:
        return False


TRUST_ALL = Policy((), everything=True)
"""Allows everything: for files that are as trusted as code."""
