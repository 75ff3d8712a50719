"""`lazycfg check` of a file in a process of its own: for workspaces whose configs may be run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from lazycfg.editor.answers import Fault, Location

__all__ = ["checked_by_running"]

_COMMAND = "import sys; from lazycfg.cli import main; sys.exit(main())"


async def checked_by_running(file: str, timeout: float = 120.0) -> list[Fault]:
    """Return what `lazycfg check` finds in a file as it is saved; the process ends with the caller's task.

    Raises:
        RuntimeError: the command failed, or took too long.
    """
    words = ["check", file, "--no-build", "--format", "json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _COMMAND,
        *words,
        cwd=os.path.dirname(file) or None,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        raise RuntimeError(f"lazycfg check {file} took more than {timeout:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        lines = out.splitlines(keepends=True)
        # What the config prints itself stands before it
        start = max(number for number, line in enumerate(lines) if line.strip() in (b"[", b"[]"))
        found: list[dict[str, Any]] = json.loads(b"".join(lines[start:]))
    except ValueError:
        said = err.decode("utf-8", "replace").strip().splitlines()
        raise RuntimeError(f"lazycfg check {file} failed: {said[-1] if said else 'no output'}") from None
    return [_fault(each) for each in found]


def _fault(found: dict[str, Any]) -> Fault:
    at = None
    if found["file"] is not None:
        at = Location(found["file"], found["line"] or 1, found["column"] or 1)
    remedy = f"\nremedy: {found['remedy']}" if found["remedy"] else ""
    return Fault(found["message"] + remedy, found["severity"], at, found["path"])
