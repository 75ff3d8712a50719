"""The parsers of the commands that run a config: they train, evaluate, predict and measure."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["OVERRIDES", "add_config", "add_running_commands"]

OVERRIDES = "overrides: key=value, +key=value, ~key, **.key=value"
_RUN = "a config file, the folder of a run, or a name in the model zoo"


def add_config(parser: argparse.ArgumentParser, text: str, words: str, metavar: str = "CONFIG") -> None:
    """Add the arguments of a command that takes a config, overrides, and options of how to load it."""
    parser.add_argument("config", metavar=metavar, help=text)
    parser.add_argument("words", nargs="*", metavar="...", help=words)
    text = "trust data files like code: they may name and define anything"
    parser.add_argument("--trusted", action="store_true", help=text)
    text = "also allow this name in data files: package.module.Class, resolver:oc.env (repeatable)"
    parser.add_argument("--allow", action="append", default=[], metavar="NAME", help=text)
    text = "a config file to merge into the config, before the overrides (repeatable)"
    parser.add_argument("--set-file", action="append", default=[], metavar="FILE", help=text)


def add_running_commands(commands: Any) -> None:
    """Add the commands to the subparsers of the command line."""

    def command(name: str, run_by: str, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run_by=run_by)
        return added

    train = command("train", "train.train", "train the model of a config, and evaluate it")
    add_config(train, _RUN, OVERRIDES)
    train.add_argument("--resume", action="store_true", help="continue from the last checkpoint of the run")
    train.add_argument("--eval-only", action="store_true", help="only evaluate train.init_checkpoint")

    evaluate = command("eval", "train.evaluate", "evaluate weights on the test data of a config")
    add_config(evaluate, _RUN, OVERRIDES)
    text = "a file or a name; by default the weights of the run, or train.init_checkpoint"
    evaluate.add_argument("--weights", metavar="FILE", help=text)
    text = "evaluate the last checkpoint of a run that is not finished"
    evaluate.add_argument("--resume", action="store_true", help=text)
    text = "fold batch normalization into convolutions: faster, last digits differ"
    evaluate.add_argument("--fuse", action="store_true", help=text)

    _add_predict(command("predict", "predict.predict", "detect objects in images, videos or a camera"))

    _add_export(command("export", "export.export", "write a detector as one file that runs without lazycfg"))

    analyze = command("analyze", "analyze.analyze", "count a model's parameters, operations and activations")
    add_config(analyze, _RUN, OVERRIDES)
    text = "height x width of the image; by default the model's own, or 800x1333"
    analyze.add_argument("--input-size", metavar="HxW", help=text)
    analyze.add_argument("--depth", type=int, metavar="N", help="how many levels of parts to show")
    text = "also list modules and parameters with their shapes, to --depth or three levels"
    analyze.add_argument("--parameters", action="store_true", help=text)
    analyze.add_argument("--structure", action="store_true", help="also print the modules, as PyTorch does")

    text = "measure the speed of data loading, training and prediction on this machine"
    benchmark = command("benchmark", "benchmark.benchmark", text)
    add_config(benchmark, _RUN, OVERRIDES)
    text = "what to measure (repeatable); all by default"
    tasks = ("data", "train", "eval")
    benchmark.add_argument("--task", action="append", dest="tasks", choices=tasks, help=text)
    text = "iterations to measure; 20 by default"
    benchmark.add_argument("--iterations", type=int, default=20, metavar="N", help=text)
    text = "iterations before these, not measured; 3 by default"
    benchmark.add_argument("--warmup", type=int, default=3, metavar="N", help=text)

    command("env", "env.env", "print versions and devices, for a bug report")

    visualize = command(
        "visualize", "visualize.visualize", "draw the images and annotations that the model gets"
    )
    add_config(visualize, _RUN, OVERRIDES)
    visualize.add_argument("-o", "--output-dir", default="visualized_data", metavar="DIR",
                           help="the folder to write; 'visualized_data' by default")  # fmt: skip
    visualize.add_argument(
        "--number", type=int, default=20, metavar="N", help="how many images; 20 by default"
    )
    text = "dataloader.train or .test; train by default"
    visualize.add_argument("--split", choices=("train", "test"), default="train", help=text)
    text = "loader: after the augmentations, as the model gets it (the default); dataset: as annotated"
    visualize.add_argument("--source", choices=("loader", "dataset"), default="loader", help=text)
    text = "size of the drawings relative to the images"
    visualize.add_argument("--scale", type=float, metavar="X", help=text)

    push = command("push", "hub.push", "upload a run to the Hugging Face Hub: config, weights and card")
    push.add_argument("run", help="the folder of a run")
    push.add_argument("repo", metavar="ORG/NAME", help="the repository; created if it does not exist")
    push.add_argument(
        "--license", metavar="NAME", help="the license of the model: apache-2.0, mit, cc-by-4.0, ..."
    )
    push.add_argument("--text", default="", help="a description for the model card, in Markdown")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    text = "only write the files into a folder, to look at them"
    push.add_argument("--to", metavar="DIR", help=text)
    pull = command("pull", "hub.pull", "download a model from the Hugging Face Hub, and print its folder")
    pull.add_argument("repo", metavar="ORG/NAME", help="the repository, optionally with @REVISION")

    _add_prepare(command("prepare", "prepare.prepare", "make files that some public datasets need"))


def _add_predict(predict: argparse.ArgumentParser) -> None:
    """Add the arguments of `predict`."""
    text = "the folder of a run, a name in the model zoo, hf://ORG/NAME, or a config with --weights"
    words = "images: files, folders, patterns, URLs; and overrides: key=value"
    add_config(predict, text, words, "MODEL")
    text = "a file or a name; by default the weights of the run, or the published ones"
    predict.add_argument("--weights", metavar="FILE", help=text)
    text = "a video whose name does not end like one (repeatable)"
    predict.add_argument("--video", action="append", default=[], metavar="FILE", help=text)
    text = "show what camera N sees (0 by default); q quits"
    predict.add_argument("--webcam", type=int, nargs="?", const=0, metavar="N", help=text)
    predict.add_argument(
        "-o", "--output", metavar="DIR", help="the folder to write; 'predictions' by default"
    )
    text = "write into a folder that is not empty, and replace files of the same names; others stay"
    predict.add_argument("--overwrite", action="store_true", help=text)
    text = "leave out objects with lower scores, in drawings and files; 0.5 by default"
    predict.add_argument("--threshold", type=float, default=0.5, metavar="X", help=text)
    text = "a COCO file to take the ids of images and classes from, to score the results"
    predict.add_argument("--annotations", metavar="FILE", help=text)
    predict.add_argument("--no-images", action="store_true", help="write JSON and CSV only")
    text = "look at large images in tiles of this size in pixels: 640, or height x width: 640x800"
    predict.add_argument("--tile", metavar="SIZE", help=text)
    text = "images per batch; 1 by default"
    predict.add_argument("--batch-size", type=int, default=1, metavar="N", help=text)
    text = "how objects in a video are tracked; iou by default"
    kinds = ("iou", "hungarian", "weighted", "none")
    predict.add_argument("--track", choices=kinds, default="iou", help=text)
    predict.add_argument("--device", default="auto", help="auto (the default), cpu, cuda, cuda:1, mps")
    predict.add_argument("--font", metavar="FILE", help="a font file for the labels")
    predict.epilog = (
        "predictions.json has the ids of classes of the training data (category_id, as in images.json); "
        "predictions.csv has their numbers from 0 (class) and their names"
    )


def _add_export(export: argparse.ArgumentParser) -> None:
    """Add the arguments of `export`."""
    text = "the folder of a run, a name in the model zoo, hf://ORG/NAME, or a config with --weights"
    words = "images to compare on: files, folders, patterns, URLs; and overrides: key=value"
    add_config(export, text, words, "MODEL")
    text = "the file to write: .pt2 for torch.export, .onnx for ONNX"
    export.add_argument("-o", "--output", required=True, metavar="FILE", help=text)
    text = "height x width of the input images in pixels: 800x1216, or 640"
    export.add_argument("--size", required=True, metavar="HxW", help=text)
    text = "images per batch; 1 by default"
    export.add_argument("--batch-size", type=int, default=1, metavar="N", help=text)
    text = "a file or a name; by default the weights of the run, or the published ones"
    export.add_argument("--weights", metavar="FILE", help=text)
    text = (
        "the number of best boxes of an image that go into NMS; by default ten per detection, at least 1,000"
    )
    export.add_argument("--candidates", type=int, metavar="N", help=text)
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    text = "the device that it will run on: cpu (the default), cuda, cuda:1, auto"
    export.add_argument("--device", default="cpu", help=text)


def _add_prepare(prepare: argparse.ArgumentParser) -> None:
    """Add what `prepare` makes."""
    kinds = prepare.add_subparsers(required=True, metavar="KIND", dest="kind", help="what to make")

    def kind(name: str, file: str, text: str, what: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = kinds.add_parser(name, help=what, description=what)
        added.add_argument(file, help=text)
        return added

    added = kind("panoptic-to-semantic", "json_file", "panoptic annotation file",
                 "write maps in which 0 is all things, 1, 2, ... are stuff, and 255 is neither")  # fmt: skip
    added.add_argument(
        "--panoptic-root", metavar="DIR", help="the folder of its PNG files; by default next to it"
    )
    text = "the folder to write; by default panoptic_stuff_... next to the PNG files"
    added.add_argument("--output", metavar="DIR", help=text)
    kind("ade20k", "root", "ADEChallengeData2016",
         "write the maps of 'annotations', minus 1, to 'annotations_detectron2'; 0 becomes 255")  # fmt: skip
    added = kind("cocofied-lvis", "json_file", "LVIS annotation file",
                 "write an LVIS file with COCO's categories only, under COCO's ids")  # fmt: skip
    text = "the file to write; ..._cocofied.json by default"
    added.add_argument("--output", metavar="FILE", help=text)
    added = kind("coco-subset", "json_file", "annotation file",
                 "write a COCO file with a random subset of the images")  # fmt: skip
    added.add_argument("--number", type=int, default=100, metavar="N", help="how many images; 100 by default")
    added.add_argument("--seed", type=int, default=0, metavar="N", help="the random seed; 0 by default")
    added.add_argument("--output", metavar="FILE", help="the file to write; ..._100.json by default")
