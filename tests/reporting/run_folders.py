"""Folders as runs leave them, made without training."""

import json
import math

from PIL import Image

HOSTILE = "<script>document.title='hacked'</script>&\"'\x1b[2J"


def make_run(folder, *, tasks=("bbox",), names=("circle", HOSTILE, "square"), end="finished", steps=30):
    """Write the files of a run; what a task has in `details.json` is as the evaluators give it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for step in range(0, steps, 2):
        losses = {"total_loss": 2 * math.exp(-step / 20) + 0.1, "loss_cls": math.exp(-step / 20), "lr": 0.01}
        lines.append({"iteration": step, **losses, "time": 0.1, "data_time": 0.01, "rpn/num_pos": 3.5})
        lines[-1]["loss_<b>"] = 1.0
    results, details = {}, {}
    for task in tasks:
        column = {"sem_seg": "IoU", "panoptic_seg": "PQ"}.get(task, "AP")
        results[task] = {column: 31.25, f"{column}50": None}
        results[task] |= {f"{column}-{name}": 10.0 * i for i, name in enumerate(names)}
        lines += [{"iteration": 9, f"{task}/{column}": 20.0}, {"iteration": 29, f"{task}/{column}": 31.25}]
        rows = [{"class": name, "objects": 5 - i, column: 10.5 * i} for i, name in enumerate(names)]
        rows[0][column] = None
        details[task] = {"per_class": rows}
        if task in ("bbox", "segm", "keypoints"):
            curve = [round(1 - i / 100, 3) for i in range(101)]
            details[task]["curves"] = {
                "iou": 0.5,
                "mean": curve,
                "classes": dict.fromkeys(names, curve),
                "left_out": 0,
            }
        if task == "bbox":
            details[task] |= {
                "threshold": 0.4,
                "F1": 0.5,
                "errors": {"AP50": 40, "counts": {"background": 3}, "dAP": {"background": 2.5}},
            }
        if task in ("bbox", "sem_seg"):
            shown = [*names, "background"]
            matrix = [[i * j for j in range(len(shown))] for i in range(len(shown))]
            details[task]["confusion"] = {"unit": "detections", "names": shown, "matrix": matrix}
    images = {"worst": [], "best": []}
    for key in images:
        for i in range(2):
            file = folder / "pictures" / key / f"{i}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (900, 400), (200, 40 * i, 90)).save(file)
            images[key].append({"file": f"pictures/{key}/{i}.jpg", "image_id": HOSTILE, "quality": 0.1 * i})
    Image.new("RGB", (300, 200), (20, 120, 90)).save(folder / "pictures" / "00000_a.jpg")
    record = {
        "max_iter": steps,
        "starts": [{"time": "now", "iteration": 0, "command": f"lazycfg train {HOSTILE}", "directory": "/"}],
        "config": {"parent": HOSTILE, "changes": [f"~ train.x: 1 -> {HOSTILE}", "+ a = 2"]},
        "model": {"kind": "Model", "parameters": 12345, "trained": 12000},
        "data": {"training": {"name": HOSTILE, "images": 5, "classes": list(names), "batch_size": 2}},
        "environment": {"PyTorch": "2.10", HOSTILE: HOSTILE},
    }
    if end:
        record["end"] = {"reason": end, "iteration": steps, "seconds": 61.0, "time": "later"}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "details.json").write_text(json.dumps({"tasks": details, "images": images, "iteration": steps}))
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.yaml").write_text(f"model: {HOSTILE}\n")
    (folder / "log.txt").write_text(f"[2026-01-01 00:00:00 lazycfg.x] WARNING: careful {HOSTILE}\n" * 2)
    return folder
