"""Runs in trackio without a network; its store is what TRACKIO_DIR names when it is imported."""

import json
import socket
import sys
from pathlib import Path

from lazycfg import LazyConfig
from lazycfg.engine import SettingsError, TrackioWriter, train
from lazycfg.utils import EventStorage

asked = []


def refuse(*args, **kwargs):
    asked.append(str(args))
    raise OSError("there is no network")


def opened(folder, before):
    """What a resumed run says to a note of the run before."""
    (folder / "trackers.json").write_text(json.dumps({"trackio": before}))
    writer = TrackioWriter()
    writer.start(EventStorage(), 1, 2)
    try:
        writer.begin(folder, {})
        writer.log_scalars({"loss": 1.0}, 1)
        writer.close()
    except SettingsError as error:
        return str(error)
    return json.loads((folder / "trackers.json").read_text())["trackio"]


for place, name in [(socket.socket, "connect"), (socket.socket, "bind"), (socket, "getaddrinfo")]:
    setattr(place, name, refuse)

folder = Path(sys.argv[1])
cfg = LazyConfig.load(folder / "cfg.json", trusted=True)
train(cfg)
moved = Path(cfg.train.output_dir).rename(folder / "moved")
cfg.train.update(output_dir=str(moved), max_iter=6)
train(cfg, resume=True)
number, _, name = json.loads((moved / "trackers.json").read_text())["trackio"].partition(" ")

import trackio.utils  # noqa: E402

told = {"another": opened(folder, f"another {name}"), "lost": opened(folder, f"{number} gone")}
trackio.utils.TRACKIO_DIR = folder / "cfg.json" / "store"
told["unwritable"] = opened(folder, "")
print(json.dumps({"asked": asked, "name": name, **told}))
