"""Which commit of its user's code a run was started with."""

import os
import subprocess

__all__ = ["git_state"]

_SECONDS = 10  # for a repository on a slow file system


def git_state(folder: str | os.PathLike[str] = ".") -> str:
    """Return the commit of the repository that a folder lies in, and how many files differ from it.

    Files that git does not track are not counted. "" where there is no repository, no commit or no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ""
    changed = len(_git(folder, "status", "--porcelain", "--untracked-files=no").splitlines())
    return f"{commit} and {changed} changed file{'' if changed == 1 else 's'}" if changed else commit


def _git(folder: str | os.PathLike[str], *words: str) -> str:
    # A repository's own settings may name programs to run: not here
    command = ["git", "-C", os.fspath(folder), "-c", "core.fsmonitor=false", "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()
