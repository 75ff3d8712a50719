"""Which objects a data file (or a command line, when asked) may name: an allow list, given by the calling
code.

An entry is a dotted name or an object. The name of one object, or the object itself, allows exactly that
object. The name of a package or module of the user's own, or of a part of this library, allows the *classes*
that it exports: those in the ``__all__`` of the module that defines them or of a package above it, or all
public ones where there is no ``__all__``. Functions, and everything in packages of others, are named one by
one. What counts is the object that a written name leads to, not the name, so that
``torch.nn.utils.rnn.torch.os.system`` is refused although it is spelt below ``torch.nn``.

Nothing outside the allowed packages is imported, not even to look at it. A policy is immutable, and nothing
in a config can reach it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from types import ModuleType
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.plain_values import takes_literals_only
from lazycfg.config.suggest import closest
from lazycfg.config.tree.interpolation import INNER_RESOLVERS
from lazycfg.config.tree.targets import ImportName, find_name, public_name, resolve_name

_DEFAULT_TEXT = """
    lazycfg.structures lazycfg.layers lazycfg.modeling lazycfg.data lazycfg.solver lazycfg.evaluation
    lazycfg.tracking lazycfg.projects
    lazycfg.data.build_detection_test_loader lazycfg.data.build_detection_train_loader
    lazycfg.data.open_dataset lazycfg.data.create_keypoint_hflip_indices
    lazycfg.data.trivial_batch_collator lazycfg.layers.get_norm lazycfg.modeling.get_vit_lr_decay_rate
    lazycfg.data.RepeatFactorTrainingSampler.repeat_factors_from_category_frequency
    lazycfg.data.RepeatFactorTrainingSampler.repeat_factors_by_dataset
    lazycfg.data.WeightedSampler.weights_by_category lazycfg.data.WeightedSampler.weights_by_dataset
    lazycfg.engine.LateAugmentations
    lazycfg.modeling.ResNet.make_default_stages lazycfg.modeling.ResNet.make_stage
    lazycfg.solver.get_default_optimizer_params lazycfg.engine.PreciseBN
    lazycfg.modeling.backbone.regnet_blocks.ResBasicBlock
    lazycfg.modeling.backbone.regnet_blocks.ResBottleneckBlock
    lazycfg.modeling.backbone.regnet_blocks.ResStem lazycfg.modeling.backbone.regnet_blocks.SimpleStem
    lazycfg.modeling.backbone.regnet_blocks.VanillaBlock
    torch.nn torch.optim torch.optim.lr_scheduler
    torch.nn.functional.gelu torch.nn.functional.leaky_relu torch.nn.functional.relu
    torch.nn.functional.sigmoid torch.nn.functional.silu torch.nn.functional.softmax
    torch.nn.functional.tanh
    torch.Size torch.device torch.tensor torch.bfloat16 torch.bool torch.complex64 torch.complex128
    torch.float16 torch.float32 torch.float64 torch.int8 torch.int16 torch.int32 torch.int64 torch.uint8
    torch.channels_last torch.contiguous_format torch.preserve_format
    numpy.array numpy.dtype numpy.empty numpy.bool numpy.complex64 numpy.complex128 numpy.float16
    numpy.float32 numpy.float64 numpy.int8 numpy.int16 numpy.int32 numpy.int64 numpy.uint8 numpy.uint16
    numpy.uint32 numpy.uint64
    builtins.abs builtins.bool builtins.bytearray builtins.complex builtins.dict builtins.float
    builtins.frozenset builtins.int builtins.len builtins.list builtins.range builtins.set
    builtins.slice builtins.str builtins.tuple
    collections.Counter collections.OrderedDict collections.defaultdict datetime.date datetime.datetime
    datetime.time datetime.timedelta datetime.timezone decimal.Decimal fractions.Fraction operator.is_not
    re.compile uuid.UUID
    resolver:oc.env:DETECTRON2_DATASETS resolver:oc.env:LAZYCFG_WEIGHTS
"""
DEFAULT_ALLOW: tuple[str, ...] = tuple(_DEFAULT_TEXT.split())
"""What a data file may name when the calling code gives no list of its own: the components of this library,
the layers, optimizers and schedules of torch, and plain values."""

# The parts of this library that may be named as a whole. The others read and write files or run configs.
_PARTS = ("structures", "layers", "modeling", "data", "solver", "evaluation", "tracking", "projects")
# Modules of others that an entry may name as a whole, and where the classes meant by it are defined.
_KNOWN = {
    "torch.nn": "torch.nn.modules",
    "torch.optim": "torch.optim",
    "torch.optim.lr_scheduler": "torch.optim.lr_scheduler",
}
# Classes that a package entry never means: they set attributes of any name, or trace what they are given
# into Python code that they run, or unpickle what they hold.
_NOT_MEANT = frozenset(
    (
        "lazycfg.data.datasets.base.SerializedList",
        "lazycfg.modeling.backbone.adapters.TorchvisionBackbone",
        "torch.nn.modules.container.ParameterDict",
        "torch.nn.modules.container.ParameterList",
    )
)
# What runs a config of its own, to which no policy would apply, and what only `L.attr` may use.
_NEVER_BELOW = (
    *("lazycfg.config.", "lazycfg.cli.", "lazycfg.model_zoo."),
    *("lazycfg.inspection.", "lazycfg.without_importing."),
)
# What `L.attr` and `L.method` of a data file may read of what another node builds.
_ATTRIBUTES_TEXT = """
    parameters named_parameters buffers named_buffers modules children weight bias in_channels
    out_channels in_features out_features num_features embed_dim channels stride strides num_classes
    num_keypoints num_anchors num_params box_dim metadata output_shape size_divisibility dataset thing_classes
    stuff_classes thing_colors stuff_colors keypoint_names keypoint_flip_map keypoint_oks_sigmas
    ignore_label name
"""
_ATTRIBUTES = frozenset(_ATTRIBUTES_TEXT.split())

# Longer names are nobody's, and following them takes the square of their length.
_LONGEST_NAME = 400

# `${name:...}`, and an interpolation inside another one, which could spell any name
_RESOLVER = re.compile(r"\$\{([^${}:]*):([^${}]*)|\$\{[^}]*\$\{")


class UntrustedError(ConfigError, PermissionError):
    """Names that the policy does not allow; nothing was built, and nothing outside the allowed packages
    imported.

    Attributes:
        refused: each of them, with its place.
        listing: all of them as text, without what the calling code can do about it.
        is_code: whether the file brings code, which no list of names allows.
    """

    def __init__(self, refused: Iterable[str], hint: str = "", *, is_code: bool = False):
        self.refused = list(refused)
        self.is_code = is_code
        self.listing = "not allowed:\n  " + "\n  ".join(self.refused)
        super().__init__(f"{self.listing}\n{hint}" if hint else self.listing)

    def with_options(self) -> str:
        """Return the message of a command that has the options ``--allow`` and ``--trusted``."""
        advice = "add --allow NAME for each name that the file may have, or --trusted if you trust it as code"
        if self.is_code:
            advice = "add --trusted if you trust the file as code, as one of a run of your own"
        return f"{self.listing}\n{advice}"


class Policy:
    """An allow list. ``Policy(None)`` is `DEFAULT_ALLOW`; `TRUST_ALL` allows everything.

    Args:
        allow: names of packages, modules or objects (``"mypackage"``, ``"torchvision.ops.nms"``), or modules,
            classes and functions themselves. A package of your own, or a part of this library, stands for the
            classes that it exports; a package of others (torchvision, timm, the standard library) cannot be
            allowed as a whole. An object stands for itself alone, ``"mypackage.Dataset.num_keypoints"`` also
            for the attribute of that name of what the class builds. ``"resolver:NAME"`` allows
            interpolations ``${NAME:...}``, and ``"resolver:oc.env:VARIABLE"`` those of one environment
            variable. Resolvers that look only at the config (``oc.select``, ``oc.dict.keys``,
            ``oc.dict.values``) need no entry.
    """

    __slots__ = ("_names", "_objects", "_resolvers", "everything")
    everything: bool  # whether nothing is refused
    _names: frozenset[str]
    _objects: tuple[Any, ...]
    _resolvers: frozenset[str]

    def __init__(self, allow: Iterable[Any] | None = None, *, everything: bool = False):
        entries = DEFAULT_ALLOW if allow is None else (allow,) if isinstance(allow, str) else tuple(allow)
        modules = [entry.__name__ for entry in entries if isinstance(entry, ModuleType)]
        texts = [entry for entry in entries if isinstance(entry, str)]
        resolvers = frozenset(text for text in texts if text.startswith("resolver:"))
        set_once = object.__setattr__
        set_once(self, "everything", everything)
        set_once(self, "_names", frozenset([*texts, *modules]) - resolvers)
        set_once(self, "_objects", tuple(e for e in entries if not isinstance(e, str | ModuleType)))
        set_once(self, "_resolvers", frozenset(text.removeprefix("resolver:") for text in resolvers))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a policy cannot be changed; make another one")

    def allows_resolver(self, name: str) -> bool:
        """Return whether ``${name:...}`` may run; of `oc.env` the name goes on with the variable."""
        return (
            self.everything
            or name in INNER_RESOLVERS
            or not self._resolvers.isdisjoint((name, name.partition(":")[0]))
        )

    def resolve(self, written: str) -> Any:
        """Return the object that a written name stands for.

        Raises:
            UntrustedError: the policy does not allow it.
            ImportError: an allowed name leads nowhere.
        """
        if self.everything:
            return resolve_name(written)
        for obj in self._objects:
            if str(find_name(obj)) == written:
                return obj
        if not self.may_import(written):
            raise UntrustedError([f"{_shown(written)} is not in an allowed package{self._hint(written)}"])
        found = resolve_name(written)
        reason = self.why_refused(found, written)
        if reason is not None:
            raise UntrustedError([reason])
        return found

    def resolve_called(self, written: str) -> Any:
        """Do `resolve` for what is going to be called with anything: no constructor that takes only what
        stands in a file.

        Raises as `resolve` does.
        """
        found = self.resolve(written)
        if not self.everything and takes_literals_only(found):
            raise UntrustedError([f"{_shown(written)} takes nothing but plain values that stand in a file"])
        return found

    def why_refused(self, found: Any, written: str | None = None) -> str | None:
        """Return why an object may not stand in a data file; None when it may. ``written`` is its name there,
        if it was named.
        """
        if self.everything or any(found is obj for obj in self._objects):
            return None
        name = find_name(found)
        own_name = getattr(found, "__qualname__", type(found).__qualname__) if name is None else name
        shown = _shown(written or str(own_name))
        if isinstance(found, ModuleType):
            return f"{shown} is a module"
        canonical = "" if name is None else str(name)
        runs_configs = canonical.startswith("lazycfg.engine.") and not isinstance(found, type)
        if found is getattr or runs_configs or canonical.startswith(_NEVER_BELOW):
            return f"{shown} can run a config or read any attribute; no entry allows that"
        known = {canonical, "" if name is None else str(public_name(name, found))}
        if written in self._names or not known.isdisjoint(self._names):
            return None
        if name is None:
            return f"{shown} is not defined under a name of its own"
        if any(part.startswith("_") for part in name.qualname.split(".")):
            return f"{shown} is private ({canonical!r})"
        if not isinstance(found, type):
            return (
                f"{shown} is no class; a function is allowed by its own name (allow {min(known, key=len)!r})"
            )
        if issubclass(found, type):
            return f"{shown} is a metaclass"
        if canonical in _NOT_MEANT:
            return f"{shown} is not allowed with its package, but by name (allow {min(known, key=len)!r})"
        if not any(_means(entry, name, found) for entry in self._names):
            if any(_is_own(entry) and f"{name.module}.".startswith(f"{entry}.") for entry in self._names):
                return (
                    f"{shown} is not exported (in '__all__') by its package (allow {min(known, key=len)!r})"
                )
            return f"{shown} is {canonical!r}, which no entry allows{self._hint(canonical)}"
        return None

    def why_text_refused(self, text: str, *, is_target: bool) -> str | None:
        """Return why a text may not stand in an untrusted config, as a target or by its interpolations."""
        if self.everything:
            return None
        for match in _RESOLVER.finditer(text):
            name = None if match[1] is None else match[1].strip()
            if name is None:
                return f"an interpolation that is put together by another one, in {_shown(text)}"
            if self.allows_resolver(name):
                continue
            ends = "," in match[2] or text[match.end() : match.end() + 1] == "}"  # else it is put together
            variable = f"oc.env:{match[2].partition(',')[0].strip() if ends else match[2] + '...'}"
            if name != "oc.env" or not self.allows_resolver(variable):
                entry = f"resolver:{variable if name == 'oc.env' and ends else name}"
                return f"the resolver {entry[9:]!r} in {_shown(text)} (allow {entry!r})"
        if is_target and "${" in text:
            return f"a target that is an interpolation, {_shown(text)}"
        if is_target and "." in text:
            try:
                self.resolve_called(text)
            except UntrustedError as error:
                return error.refused[0]
            except ImportError as error:
                return str(error)[:_LONGEST_NAME]
        return None

    def allows_attribute(self, owner: Any, attribute: Any) -> bool:
        """Return whether an attribute of what ``owner`` builds may be read (``L.attr``, ``L.method``)."""
        if self.everything:
            return True
        if type(attribute) is not str:
            return False
        name = find_name(owner) if isinstance(owner, type) else None
        if name is None:
            return attribute in _ATTRIBUTES
        names = (f"{name}.{attribute}", f"{public_name(name, owner)}.{attribute}")
        return attribute in _ATTRIBUTES or not self._names.isdisjoint(names)

    def may_import(self, written: str) -> bool:
        """Return whether a dotted name may be imported, to see what it is."""
        if self.everything:
            return True
        if len(written) > _LONGEST_NAME:
            return False
        if written in self._names:
            return True
        parts = written.split(".")
        if not all(part.isidentifier() and not part.startswith("_") for part in parts):
            return False
        return any(_reaches(entry, written) for entry in self._names)

    def _hint(self, written: str) -> str:
        """Return the end of a message about a name that no entry allows."""
        whole = next((e for e in self._names if written.startswith(f"{e}.") and not _is_own(e)), None)
        if whole is not None and whole not in _KNOWN:
            return f" ({whole!r} cannot be allowed as a whole: allow the classes that are needed one by one)"
        return closest(written[:_LONGEST_NAME], self._names, 0.8)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def _reaches(entry: str, written: str) -> bool:
    """Return whether a name may be imported because of an entry."""
    if not written.startswith(f"{entry}."):
        return _KNOWN.get(entry) is not None and written.startswith(f"{_KNOWN[entry]}.")
    return "." not in written[len(entry) + 1 :] if entry in _KNOWN else _is_own(entry)


def _means(entry: str, name: ImportName, found: type) -> bool:
    """Return whether an entry that is a package or module means a class."""
    home = _KNOWN.get(entry)
    if home is not None:
        inside = name.module == home or name.module.startswith(f"{home}.")
        return inside and vars(sys.modules.get(entry)).get(name.qualname) is found
    below = name.module == entry or name.module.startswith(f"{entry}.")
    return below and _is_own(entry) and _is_exported(name)


def _is_exported(name: ImportName) -> bool:
    """Return whether a class, or the one it is defined in, is exported by its module or a package above."""
    first = name.qualname.partition(".")[0]
    parts = name.module.split(".")
    declared = False
    for size in range(len(parts), 0, -1):
        exported = getattr(sys.modules.get(".".join(parts[:size])), "__all__", None)
        declared = declared or exported is not None
        if exported is not None and first in exported:
            return True
    return not declared


@lru_cache(maxsize=1024)
def _is_own(entry: str) -> bool:
    """Return whether an entry lies in a package that may be allowed as a whole: one that is neither installed
    among those of others nor part of Python, or a part of this library.
    """
    top, _, rest = entry.partition(".")
    if top == "lazycfg":
        return rest.partition(".")[0] in _PARTS
    if top in sys.stdlib_module_names or top in ("torch", "torchvision", "numpy"):
        return False
    from importlib.util import find_spec
    from sysconfig import get_paths

    try:
        spec = find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):  # of a module that was made by hand
        return top in sys.modules
    if spec is None:
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    installed = {
        path for key, path in get_paths().items() if key in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    return not any(
        place is not None
        and (place.startswith(tuple(f"{folder}/" for folder in installed)) or "-packages/" in place)
        for place in places
    )


TRUST_ALL = Policy((), everything=True)
"""Allows everything: for files that are as trusted as code."""
