"""Running a page of the documentation: its blocks of code, in order, in one folder.

- ``python``: the block runs, with the names of those before. A ``text`` block that follows is what it prints.
- with ``title="FILE"``: the block is a file, which is written.
- ``console``: lines that begin with ``$ `` are commands, the others what they print (nothing: anything).
- ``bash``: commands whose output does not matter.

In outputs ``...`` stands for anything, on a line of its own for any lines; blanks count once. A comment
before a block changes how it is run and does not show on the site:

- ``<!-- test: skip REASON -->``: it cannot be run here.
- ``<!-- test: status 1 -->``: its commands end with this status.
- ``<!-- test: add ARGUMENTS -->``: arguments that keep its last command short.
- ``<!-- test: run`` code ``-->``: Python that prepares what a reader has, such as a folder of data.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$|<!-- test: (?P<mark>.*?)-->",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    """A block of code, and the marks before it."""

    language: str
    title: str | None
    code: str
    line: int
    marks: list[str] = field(default_factory=list)

    def mark(self, name: str) -> str | None:
        """Return what a mark says, or None where the block has no such mark."""
        return next((text.partition(" ")[2].strip() for text in self.marks if text.split()[0] == name), None)


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of a page; preparations are blocks of the language ``prepare``."""
    blocks: list[Block] = []
    marks: list[str] = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if (mark := match["mark"]) is not None:
            if mark.startswith("run\n"):
                blocks.append(Block("prepare", None, mark.removeprefix("run\n"), line))
            else:
                marks.append(mark)
            continue
        language, _, rest = match["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        code = "".join(part.removeprefix(match["indent"]) for part in match["code"].splitlines(keepends=True))
        blocks.append(Block(language, title[1] if title else None, code, line, marks))
        marks = []
    return blocks


def runs_commands(text: str) -> bool:
    """Return whether a page has commands, which take seconds each."""
    return any(
        block.language in ("console", "bash") and block.mark("skip") is None for block in read_blocks(text)
    )


def run_page(text: str, name: str, folder: Path) -> None:
    """Run a page.

    Args:
        text: of the page.
        name: said in failures.
        folder: an empty folder, in which commands run. It must be the current one.
    """
    namespace: dict[str, object] = {"__name__": "page"}
    printed: str | None = None
    for block in read_blocks(text):
        where = f"{name}:{block.line}"
        if block.mark("skip") is not None:
            continue
        if block.language == "text" and printed is not None and block.title is None:
            check_output(block.code, printed, where)
            printed = None
        elif block.title is not None:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
        elif block.language in ("python", "prepare"):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * block.line + block.code, name, "exec"), namespace)
            printed = output.getvalue()
        elif block.language in ("console", "bash"):
            printed = None
            steps = read_commands(block)
            for number, (command, expected) in enumerate(steps):
                more = block.mark("add") if number == len(steps) - 1 else None
                said = run_command(f"{command} {more or ''}", folder, int(block.mark("status") or 0), where)
                if block.language == "console":
                    check_output(expected, said, where)


def read_commands(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it is said to print."""
    if block.language == "bash":
        lines = block.code.replace("\\\n", " ").splitlines()
        return [(line, "") for line in lines if line.strip() and not line.startswith("#")]
    steps: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r"\\\n *", "", part).partition("\n")
        steps.append((command, output))
    return steps


def run_command(command: str, folder: Path, status: int, where: str) -> str:
    """Run a command in a shell as wide as a page; return what it prints.

    Raises:
        AssertionError: it ends with another status, or with a traceback.
    """
    programs = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=900
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, f"{where}: $ {command}\nended with {done.returncode}\n{said}"
    assert "Traceback" not in said, f"{where}: $ {command}\n{said}"
    return said


def check_output(expected: str, said: str, where: str) -> None:
    """Compare an output with what the page says.

    Raises:
        AssertionError: they differ.
    """
    wanted, found = (f" {' '.join(text.split())} " for text in (expected, said))
    pattern = re.escape(wanted).replace(r"\ \.\.\.\ ", r"\ (?:.*\ )?").replace(r"\.\.\.", ".*")
    assert not wanted.strip() or re.fullmatch(pattern, found), (
        f"{where}: the page says\n{expected}\nand the program\n{said}"
    )
