# ruff: noqa: E501
"""Small files that ask for hours or for all memory: each ends in an error of ours, or is read, in a second or two
(ten where the machine is busy) and in little memory; so do the commands that look at it."""

import json
import subprocess
import sys

import pytest


def doubled(opening, closing, levels, first="1, 1"):
    lines = [f"t0: &t0 {opening}{first}{closing}"]
    lines += [f"t{i}: &t{i} {opening}*t{i - 1}, *t{i - 1}{closing}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


BIG = 2**61 - 1
FRACTION, DECIMAL = "!name fractions.Fraction", "!name decimal.Decimal"
TUPLES = "[" + ", ".join("!tuple [" + ", ".join("-1" if n >> b & 1 else "-2" for b in range(12)) + "]"
                         for n in range(4000)) + "]"  # fmt: skip
YAML = {
    "doubled lists": doubled("[", "]", 40),
    "doubled tuples": doubled("!tuple [", "]", 18),
    "doubled sets": doubled("!tuple [", "]", 30) + "s: !set [*t29]\n",
    "doubled lists of mappings": doubled("[", "]", 40, "{a: 1}"),
    "doubled mappings": "t0: &t0 {a: 1}\n"
    + "".join(f"t{i}: &t{i} {{a: *t{i - 1}, b: *t{i - 1}}}\n" for i in range(1, 40)),
    "doubled mappings and lists": "t0: &t0 {a: 1}\n"
    + "".join(f"t{i}: &t{i} {{a: [*t{i - 1}, *t{i - 1}]}}\n" for i in range(1, 40)),
    "doubled calls": "t0: &t0 {_target_: builtins.dict}\n"
    + "".join(f"t{i}: &t{i} {{_target_: builtins.dict, a: *t{i - 1}, b: *t{i - 1}}}\n" for i in range(1, 40)),
    "fraction of a decimal": f"a: !construct [{FRACTION}, [!construct [{DECIMAL}, ['1e99999999'], {{}}]], {{}}]",
    "fraction": f"a: !construct [{FRACTION}, ['1e99999999'], {{}}]",
    "fraction with underscores": f"a: !construct [{FRACTION}, ['1e9_999_999'], {{}}]",
    "fraction with other digits": f"a: !construct [{FRACTION}, ['1e٩٩٩٩٩٩٩'], {{}}]",
    "fraction with blanks": f"a: !construct [{FRACTION}, [' 1e9999999 '], {{}}]",
    "fraction by a keyword": f"a: !construct [{FRACTION}, [], {{numerator: '1e9999999'}}]",
    "fraction at a target": "a: {_target_: fractions.Fraction, _args_: ['1e99999999']}",
    "fraction at a target, by a decimal": f"a: {{_target_: {FRACTION}, _args_: [{{_target_: {DECIMAL}, _args_: ['1e9999999']}}]}}",
    "decimal by a keyword": f"a: {{_target_: builtins.int, _args_: [{{_target_: {DECIMAL}, value: '1e99999999'}}]}}",
    "rounded to a place": "a: {_target_: builtins.round, _args_: [5, -1000000000]}",
    "integer of a decimal": f"a: {{_target_: builtins.int, _args_: [!construct [{DECIMAL}, ['1e99999999'], {{}}]]}}",
    "decimal of digits": f"a: {{_target_: builtins.int, _args_: [!construct [{DECIMAL}, [!tuple [0, !tuple [1], 99999999]], {{}}]]}}",
    "type of an array": "x: !construct [!name numpy.array, [[a, b, c, d]], {dtype: U500000000}]",
    "type": "x: !construct [!name numpy.dtype, ['U500000000'], {}]",
    "long text in an array": "x: !construct [!name numpy.array, [["
    + "a" * 100_000
    + ", a" * 2000
    + "]], {}]",
    "empty array": "x: !construct [!name numpy.empty, [!tuple [100000, 100000]], {dtype: f8}]",
    "empty array by an integer": "x: !construct [!name numpy.empty, [10000000000], {}]",
    "range": "x: !construct [!name builtins.range, [10000000000], {}]",
    "byte array": "x: !construct [!name builtins.bytearray, [16000000000], {}]",
    "pattern": "x: !construct [!name re.compile, ['(?i)" + "[\\x00-\\uffff]" * 700 + "'], {}]",
    "number to the base 60": "a: 1" + ":59" * 400_000,
    "number to the base 60, with a tag": "a: !!int '1" + ":59" * 400_000 + "'",
    "float to the base 60": "a: 1" + ":59" * 400_000 + ".5",
    "hexadecimal number": "a: 0x" + "f" * 5000,
    "binary number": "a: 0b" + "1" * 20_000,
    "colliding keys": "\n".join(f"{n * BIG}: 1" for n in range(1, 20_000)),
    "colliding numbers in a set": "x: !set [" + ", ".join(str(n * BIG) for n in range(1, 20_000)) + "]",
    "colliding numbers in a list": "x: {_target_: builtins.set, _args_: [["
    + ", ".join(str(n * BIG) for n in range(1, 20_000))
    + "]]}",
    "colliding tuples in a set": f"x: !set {TUPLES}",
    "colliding tuples at a target": f"x: {{_target_: builtins.set, _args_: [{TUPLES}]}}",
    "colliding tuples in a counter": f"x: {{_target_: collections.Counter, _args_: [{TUPLES}]}}",
    "attributes": "x: {_target_: torch.nn" + ".a" * 20_000 + "}",
    "attributes of a name": "x: !name torch.nn" + ".a" * 20_000,
    "attributes of a member": "x: !member [!name torch.nn" + ".a" * 20_000 + ", a]",
    "deep sets": "x: " + "!frozenset [" * 20_000 + "1" + "]" * 20_000,
    "deep tuples": "x: " + "!tuple [" * 20_000 + "1" + "]" * 20_000,
    "deep lists": "x: " + "[" * 20_000 + "1" + "]" * 20_000,
    "deep partials": "x: " + "!partial [!name builtins.dict, [" * 3000 + "1" + "], {}]" * 3000,
    "merged": "m: &m {" + ", ".join(f"k{i}: 1" for i in range(1500)) + "}\nl:\n" + "- {<<: *m}\n" * 1500,
    "doubled texts": 'a0: "1"\n' + "".join(f'a{i}: "${{a{i - 1}}}${{a{i - 1}}}"\n' for i in range(1, 40)),
    "doubled selections": 'a0: "1"\n'
    + "".join(f'a{i}: "${{oc.select:a{i - 1}}}${{oc.select:a{i - 1}}}"\n' for i in range(1, 40)),
    "open interpolations": 'a: "' + "${" * 50_000 + '"',
    "open resolvers": 'a: "' + "${oc.select:" * 20_000 + '"',
}
JSON = {
    "number": '{"a": ' + "9" * 100_000 + "}",
    "deep": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "doubled": json.dumps({"_shared_": {f"t{i}": [{"!ref": f"t{i - 1}"}] * 2 if i else [1] for i in range(40)},
                           "x": {"!ref": "t39"}}),
    "doubled sets": json.dumps({"_shared_": {f"t{i}": {"!frozenset": [{"!ref": f"t{i - 1}"}, i]} if i else [1] for i in range(400)},
                                "x": {"!ref": "t399"}}),
    "colliding": json.dumps({"x": {"!set": [n * BIG for n in range(1, 20_000)]}}),
    "special values": '{"a": ' + '{"!tuple": [' * 400 + "]}" * 400 + "}",
}  # fmt: skip
RUN = """
import re, sys, time
from pathlib import Path
from lazycfg.config.errors import ConfigError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.building.build import instantiate
from lazycfg.cli.main import main
import numpy

file = sys.argv[1]
started = time.process_time()
steps = []
def tell(step):
    global started
    now = time.process_time()
    steps.append((step, round(now - started, 2)))
    started = now
try:
    cfg = LazyConfig.load(file)
    tell("load")
    for key in list(cfg):
        try:
            cfg[key]
        except ConfigError:
            pass
    tell("read")
    try:
        instantiate(cfg)
    except ConfigError:
        pass
    tell("build")
    for suffix in ("py", "yaml", "json"):
        try:
            LazyConfig.save(cfg, file + "." + suffix)
        except ConfigError:
            pass
        tell("save " + suffix)
except ConfigError as error:
    assert len(str(error)) < 2000, len(str(error))
    tell("load")
for words in (["show", file], ["diff", file, file], ["get", file, "x"], ["graph", file, "-o", file + ".svg"],
              ["grep", "zzz", file], ["explain", file, "x"]):
    main(words)
    tell(words[0])
for step, seconds in steps:
    print(step, seconds, file=sys.stderr)
    if seconds > 10:
        print("TOO SLOW:", step, seconds)
# ru_maxrss would be that of the process that started this one, where it is larger
status = Path("/proc/self/status")
memory = int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text())[1]) // 1024 if status.exists() else 0
if memory > 500:
    print("TOO MUCH MEMORY:", memory, "MB")
"""


SLOW = ("merged", "colliding tuples at a target", "colliding tuples in a counter")


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        *(pytest.param("yaml", n, marks=[pytest.mark.slow] if n in SLOW else []) for n in YAML),
        *(("json", n) for n in JSON),
    ],
)
def test_a_small_file_takes_no_more_than_it_should(tmp_path, suffix, name):
    file = tmp_path / f"bomb.{suffix}"
    file.write_text((YAML if suffix == "yaml" else JSON)[name])
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(file)], capture_output=True, text=True, timeout=100, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode == 0, done.stderr[-2000:]
    assert "TOO" not in done.stdout, (done.stdout[-200:], done.stderr[-1000:])
