"""Feed the readers of files with damaged and hostile ones.

python tools/fuzz/run.py --minutes 1
python tools/fuzz/run.py --minutes 60 --reader yaml --reader torch

A reader may return, or raise the error that it documents. It may not raise another one, write a file, start
a process or open a connection, take more than 5 s or 1 GB for an input, nor end the process. Each input that
does is kept in the folder --output, and the way to run it again is printed; the exit status is 1 then.
"""

import argparse
import faulthandler
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_SECONDS, _MEGABYTES = 5, 1000
_FORBIDDEN_TEXT = """
    os.system os.exec os.posix_spawn os.spawn subprocess.Popen socket.connect os.remove os.mkdir os.rename
    shutil.copyfile os.putenv webbrowser.open ctypes.dlopen
"""
_FORBIDDEN = frozenset(_FORBIDDEN_TEXT.split())


class Watch:
    """What the interpreter does while an input is read."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        writes = event == "open" and isinstance(arguments[1], str) and any(c in arguments[1] for c in "wax+")
        if writes or event in _FORBIDDEN:
            self.seen.append(f"{event}{arguments!r}"[:200])


def read_once(reader: Any, file: Path, watch: Watch) -> str | None:
    """What is wrong with how a reader takes a file; None when nothing is."""
    watch.seen.clear()
    before, started = _memory(), time.perf_counter()
    faulthandler.dump_traceback_later(10 * _SECONDS, exit=True)
    problem = None
    watch.active = True
    try:
        reader.read(file)
    except reader.refusals:
        pass
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        watch.active = False
        faulthandler.cancel_dump_traceback_later()
    if watch.seen:
        problem = f"it did {watch.seen[0]}"
    if time.perf_counter() - started > _SECONDS:
        problem = f"it took {time.perf_counter() - started:.1f} s"
    if _memory() - before > _MEGABYTES:
        problem = f"it took {_memory() - before} MB"
    return problem


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def inputs(reader: Any) -> Any:
    """A hypothesis strategy: seeds with some edits, and texts of the words of the format."""
    from hypothesis import strategies as st

    seeds = st.sampled_from(reader.seeds())
    place = st.floats(0, 1, exclude_max=True)
    junk = st.one_of(
        st.binary(max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f", b"-1", b"9" * 30])
    )
    piece = st.one_of(junk, st.sampled_from(reader.words)) if reader.words else junk
    edit = st.tuples(place, st.sampled_from(["insert", "replace", "flip", "cut", "repeat", "end"]), piece)

    def changed(parts: tuple[bytes, list[tuple[float, str, bytes]]]) -> bytes:
        data = bytearray(parts[0])
        for where, kind, text in parts[1]:
            at = int(where * (len(data) + 1))
            if kind == "insert":
                data[at:at] = text
            elif kind == "replace":
                data[at : at + len(text)] = text
            elif kind == "flip" and at < len(data):
                data[at] ^= 1 << (len(text) % 8)
            elif kind == "cut":
                del data[at : at + 1 + 4 * len(text)]
            elif kind == "repeat":
                data[at:at] = data[at : at + 64] * (1 + len(text))
            elif kind == "end":
                del data[max(at, 1) :]
        return bytes(data)

    damaged = st.tuples(seeds, st.lists(edit, min_size=1, max_size=6)).map(changed)
    if not reader.words:
        return damaged
    return st.one_of(damaged, st.lists(st.sampled_from(reader.words), max_size=30).map(b"".join))


def work(name: str, seconds: float, seed: int, folder: Path) -> int:
    """Fuzz one reader for a while, in this process; the exit status."""
    import hypothesis
    from readers import READERS

    reader, watch, failed = READERS[name], Watch(), {}
    current = folder / f"current-{name}{reader.suffix}"
    data: Any = inputs(reader)
    for content in reader.seeds():  # what is imported on the first use is no finding
        current.write_bytes(content)
        read_once(reader, current, watch)
    end, count = time.monotonic() + seconds, 0

    def one(content: bytes) -> None:
        nonlocal count
        if time.monotonic() > end:
            return
        count += 1
        current.write_bytes(content)
        problem = read_once(reader, current, watch)
        if problem is not None and failed.setdefault(problem[:60], content) is content:
            kept = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}{reader.suffix}"
            kept.write_bytes(content)
            print(
                f"{name}: {problem[:300]}\n  python tools/fuzz/run.py --reader {name} --file {kept}",
                flush=True,
            )

    batch = 0
    while time.monotonic() < end:
        batch += 1
        settings = hypothesis.settings(
            max_examples=500,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        hypothesis.seed(seed + batch)(settings(hypothesis.given(data)(one)))()
    current.unlink(missing_ok=True)
    print(f"{name}: {count} inputs, {len(failed)} findings", flush=True)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1, help="for all readers together")
    parser.add_argument("--reader", action="append", help="only this one (repeatable)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--file", type=Path, help="read this one file, and say what comes out")
    parser.add_argument("--output", type=Path, default=None, help="a folder for what fails")
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.output or Path(tempfile.mkdtemp(prefix="lazycfg-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if args.work is not None:
        return work(args.reader[0], args.work, args.seed, folder)
    from readers import READERS

    if args.file is not None:
        READERS[args.reader[0]].read(args.file)
        return 0
    names = args.reader or list(READERS)
    status = 0
    print(f"seed {args.seed}, findings go to {folder}", flush=True)
    for name in names:
        command = [sys.executable, __file__, "--reader", name, "--work", str(60 * args.minutes / len(names)),
                   "--seed", str(args.seed), "--output", str(folder)]  # fmt: skip
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False).returncode
        if done not in (0, 1):
            left = folder / f"current-{name}{READERS[name].suffix}"
            print(f"{name}: the process ended with status {done} while it read {left}")
        status = max(status, int(done != 0))
    return status


if __name__ == "__main__":
    sys.exit(main())
