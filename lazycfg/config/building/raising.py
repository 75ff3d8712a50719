"""Where in the user's own code an error was raised, told with the config path: commands show no traceback."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def own_code(traceback: TracebackType | None) -> str:
    """Return the innermost place of a traceback that is in the user's own code: "raised at FILE:LINE, in
    Class.method", or "raised by a call at ..." where a library raised it. Returns "" where no such code ran.
    """
    libraries = _library_folders()
    found = None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        is_file = not file.startswith("<") or file.startswith(("<stdin", "<ipython"))  # not generated code
        if is_file and not os.path.abspath(file).startswith(libraries):
            found = traceback
        traceback = traceback.tb_next
    if found is None:
        return ""
    code = found.tb_frame.f_code
    how = "raised at" if found.tb_next is None else "raised by a call at"
    return f"{how} {code.co_filename}:{found.tb_lineno}, in {code.co_qualname.replace('.<locals>', '')}"


def _library_folders() -> tuple[str, ...]:
    """Return the folders of Python, of what is installed, and of this library."""
    import sysconfig

    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(os.path.join(folder, "") for folder in (own, *(paths[name] for name in names)))
