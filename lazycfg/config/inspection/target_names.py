"""The one name of a target that can be spelt in several ways: `torch.nn.ReLU` is defined elsewhere."""

from __future__ import annotations

from lazycfg.config.errors import TargetError
from lazycfg.config.signatures.callables import is_deferred, resolve_target
from lazycfg.config.tree.targets import find_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["name_of_target"]


def name_of_target(target: Any, *, importing: bool = True) -> str:
    """The name under which a target was defined; the empty text when it has none.

    A target in text is imported to find out, unless `importing` is false; one that cannot be imported, and a
    deferred import, has the name that was written.
    """
    if is_deferred(target):
        return str(target) if type(target).__lazycfg_name__(target) is not None else ""
    if not isinstance(target, str):
        return str(find_name(target) or "")
    if not importing:
        return target
    try:
        return str(find_name(resolve_target(target)) or target)
    except TargetError:
        return target
