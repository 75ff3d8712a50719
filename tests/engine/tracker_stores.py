"""Reads what trackers stored on disk, in a process of its own: a list of runs as JSON."""

import json
import math
import os
import struct
import sys
from pathlib import Path

from lazycfg.config.formats.flat import from_flat, to_flat
from lazycfg.engine import MLflowWriter, TrackioWriter


def tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    (text,) = events.Tensors("config/text_summary")[-1].tensor_proto.string_val
    yield {
        "config": to_flat(from_flat(json.loads(text.decode().replace("\n    ", "\n")), trusted=True)),
        "values": {
            name: [[e.step, e.value] for e in events.Scalars(name)] for name in events.Tags()["scalars"]
        },
        "images": sorted(events.Tags()["images"]),
    }


def mlflow(folder):
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
    (experiment,) = [each for each in client.search_experiments() if each.name == "lazycfg"]
    for run in client.search_runs([experiment.experiment_id]):
        number = run.info.run_id
        histories = {name: client.get_metric_history(number, name) for name in run.data.metrics}
        yield {
            "config": to_flat(MLflowWriter.config_of(run.data.params, trusted=True)),
            "values": {
                name: sorted([m.step, m.value] for m in found if math.isfinite(m.value))
                for name, found in histories.items()
            },
            "images": sorted(
                file.path
                for folder in client.list_artifacts(number, "predictions")
                for file in client.list_artifacts(number, folder.path)
            ),
            "status": run.info.status,
        }


def records(path):
    """The file is a log of LevelDB: blocks of 32 KiB, records in parts with a head of 7 bytes."""
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


def wandb(folder):
    from wandb.proto import wandb_internal_pb2

    runs = {}
    for path in sorted((folder / "wandb").glob("offline-run-*/run-*.wandb")):
        for raw in records(path):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(raw)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                run = runs.setdefault(record.run.run_id, {"values": {}, "images": set(), "files": set()})
                run["files"].add(path.name)
                flat = {item.key: json.loads(item.value_json) for item in record.run.config.update}
                flat.pop("_wandb", None)
                run["config"] = to_flat(from_flat(flat, trusted=True))
            elif kind == "history":
                row = {next(iter(item.nested_key), item.key): item for item in record.history.item}
                step = json.loads(row.pop("iteration").value_json)
                for name, item in row.items():
                    if name.startswith("predictions/"):
                        run["images"].add(name)
                    elif not name.startswith("_"):
                        run["values"].setdefault(name, []).append([step, json.loads(item.value_json)])
    for run in runs.values():
        yield {**run, "images": sorted(run["images"]), "files": len(run["files"])}


def trackio(folder):
    from trackio import Api
    from trackio.sqlite_storage import SQLiteStorage

    for run in Api().runs("lazycfg"):
        rows = SQLiteStorage.get_logs("lazycfg", run.name, run_id=run.id)
        values = {}
        for row in rows:
            for name in set(row) - {"step", "timestamp"}:
                values.setdefault(name, []).append([row["step"], row[name]])
        images = {name for name, found in values.items() if isinstance(found[0][1], dict)}
        yield {
            "name": run.name,
            "config": to_flat(TrackioWriter.config_of(run.config, trusted=True)),
            "values": {name: sorted(found) for name, found in values.items() if name not in images},
            "images": sorted(images),
        }


if __name__ == "__main__":
    found = list(globals()[sys.argv[1]](Path(sys.argv[2])))
    Path(sys.argv[3]).write_text(json.dumps(found))
