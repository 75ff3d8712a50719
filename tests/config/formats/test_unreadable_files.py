"""Files that are no config end in an error of ours that names the file, never in one from inside."""

import pytest

from lazycfg.config.errors import ConfigError
from lazycfg.config.lazy import LazyConfig

BAD = {
    "timestamp.yaml": b"x: !!timestamp abc",
    "number.yaml": b"x: !!int abc",
    "truth.yaml": b"x: !!bool abc",
    "bytes.yaml": b"x: !!binary '*'",
    "set as a key.yaml": b"!!set x: 1",
    "set as a value.yaml": b"x: !!set x",
    "omap.yaml": b"x: !!omap x",
    "pairs as a key.yaml": b"? !!pairs x\n: 1",
    "sequence as a key.yaml": b"!!seq x: 1",
    "python.yaml": b"x: !!python/name:os.system x",
    "day.yaml": b"x: 2020-99-99",
    "args.yaml": b"x: {_target_: torch.nn.ReLU, _args_: 5}",
    "args.json": b'{"x": {"_target_": "torch.nn.ReLU", "_args_": {"a": 1}}}',
    "no args.yaml": b"x: {_target_: torch.nn.ReLU, _args_: }",
    "no args.json": b'{"x": {"_target_": "torch.nn.ReLU", "_args_": null}}',
    "utf8.yaml": b"x: \xff\xfe",
    "utf8.json": b'{"x": "\xff"}',
    "utf8.py": b"# ok\n\xa0x = 1",
    "latin.py": b"x = '\xe9'",
    "null.py": b"x = 1\0",
    "deep.py": b"x = " + b"-" * 100_000 + b"1",
    "syntax.py": b"x = (",
    "cookie.py": b"# -*- coding: nothing -*-\nx = 1",
    "control.yaml": b"x: \x01",
    "empty key.json": b'{"": {"!tuple": 1}}',
}


@pytest.mark.parametrize("name", list(BAD))
@pytest.mark.parametrize("trusted", [False, True])
def test_unreadable_files(tmp_path, name, trusted):
    file = tmp_path / name
    file.write_bytes(BAD[name])
    with pytest.raises((ConfigError, SyntaxError)) as caught:
        LazyConfig.load(file, trusted=trusted)
    said = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert name in said
