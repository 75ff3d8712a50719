"""`lazycfg predict`: images, however they are named, and what is written of them."""

import csv
import io
import json
import os
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate, model_zoo
from lazycfg.checkpoint import save_weights
from lazycfg.cli.main import main
from lazycfg.data import Metadata
from lazycfg.engine.predicting import ImageIds, sources
from lazycfg.engine.run_metadata import weights_metadata
from lazycfg.evaluation import evaluate_json

HERE = Path(__file__).parent


def picture(*, red=None, blue=None, size=(80, 120)):
    """A grey image with a red and a blue rectangle x0, y0, x1, y1."""
    image = np.full((*size, 3), 90, dtype=np.uint8)
    for box, color in ((red, (250, 20, 20)), (blue, (20, 20, 250))):
        if box is not None:
            x0, y0, x1, y1 = box
            image[y0:y1, x0:x1] = color
    return image


RED, BLUE = (10, 20, 50, 60), (70, 5, 110, 45)


def make_run(folder, model):
    from lazycfg.data import DatasetMapper

    mapper = L(DatasetMapper)(is_train=False, image_format="RGB")
    cfg = {
        "model": model,
        "dataloader": {"test": {"mapper": mapper}},
        "train": {"output_dir": str(folder)},
    }
    folder.mkdir()
    LazyConfig.save(cfg, folder / "config.yaml")
    metadata = Metadata(
        name="toys",
        thing_classes=("red", "blue"),
        thing_dataset_id_to_contiguous_id={3: 0, 8: 1},
        stuff_classes=("grey", "red", "blue"),
    )
    save_weights(instantiate(model), folder / "model_final.safetensors", metadata=weights_metadata(metadata))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    from toy_detector import ToyDetector

    make_run(tmp_path / "run", L(ToyDetector)(classes=2))
    shots = tmp_path / "shots"
    (shots / "more").mkdir(parents=True)
    Image.fromarray(picture(red=RED, blue=BLUE)).save(shots / "both.png")
    Image.fromarray(picture(blue=BLUE)).save(shots / "more" / "blue.png")
    Image.fromarray(picture()).save(shots / "none.png")
    return tmp_path


@pytest.fixture
def predict(place, capsys):
    def call(*words):
        status = main(["predict", "run", "--trusted", "--device", "cpu", *words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return call


def read(file):
    return json.loads(Path(file).read_text())


def test_a_folder(predict):
    status, out, err = predict("shots")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "shots/both.png: 1 object: 1 red",
        "shots/more/blue.png: nothing above 0.5, best 0.30",
        "shots/none.png: nothing found",
        "wrote predictions/predictions.json",
        "wrote predictions/images.json",
        "wrote predictions/predictions.csv",
        "wrote predictions/images: 3 images",
    ]
    (found,) = read("predictions/predictions.json")
    assert (found["image_id"], found["category_id"]) == (1, 3)
    assert found["bbox"] == [10, 20, 40, 40]
    assert found["segmentation"]["size"] == [80, 120]
    content = read("predictions/images.json")
    assert content["categories"] == [{"id": 3, "name": "red"}, {"id": 8, "name": "blue"}]
    assert [image["file_name"] for image in content["images"]] == [
        "shots/both.png", "shots/more/blue.png", "shots/none.png",
    ]  # fmt: skip
    assert content["images"][0] == {"id": 1, "file_name": "shots/both.png", "width": 120, "height": 80}
    with open("predictions/predictions.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "image": "shots/both.png", "class": "0", "name": "red", "score": "0.9000",
        "x1": "10.00", "y1": "20.00", "x2": "50.00", "y2": "60.00",
    }  # fmt: skip
    drawn = {path.relative_to("predictions/images").as_posix() for path in Path("predictions").rglob("*.jpg")}
    assert drawn == {"both.jpg", "more/blue.jpg", "none.jpg"}
    with Image.open("predictions/images/both.jpg") as image:
        pixels = np.asarray(image).astype(int)
    plain = np.asarray(Image.fromarray(picture(red=RED, blue=BLUE)).resize(image.size)).astype(int)
    assert (abs(pixels - plain) > 40).any()


def test_the_others_go_on_when_one_cannot_be_read(predict):
    Path("shots/bad.jpg").write_bytes(b"no image")
    status, out, err = predict("shots", "nowhere.png", "--no-images", "--batch-size", "2")
    assert status == 1
    assert out.count("shots/") == 3
    assert "lazycfg: cannot decode image 'shots/bad.jpg'" in err
    assert "lazycfg: no image file 'nowhere.png'" in err
    assert "2 of 5 images could not be read" in err
    assert len(read("predictions/images.json")["images"]) == 3
    assert not Path("predictions/images").exists()
    assert not list(Path("predictions").glob(".partial*"))


def test_patterns_and_names_that_come_twice(predict):
    Image.fromarray(picture(red=RED)).save("shots/blue.png")
    status, out, _ = predict("shots/**/*.png", "shots/blue.png", "./shots/../shots/blue.png")
    assert status == 0
    assert out.count("shots/blue.png:") == 1
    names = {path.name for path in Path("predictions/images").iterdir()}
    assert names == {"both.jpg", "blue.jpg", "blue_2.jpg", "none.jpg"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to predict on"),
        (("empty",), "no images in the folder empty or below it"),
        (("*.gif",), "no image matches '*.gif'"),
        (("shots", "--threshold", "3"), "--threshold 3 must be a score from 0 to 1"),
        (("shots", "--batch-size", "0"), "--batch-size 0 must be at least 1"),
        (("shots", "--tile", "big"), "--tile 'big' is not of the form 640 or 640x800"),
        (("shots", "--weights", "no.pth"), "no.pth"),
        (("shots", "--annotations", "no.json"), "no annotation file 'no.json'"),
        (("shots", "model.clases=3"), "did you mean 'classes'?"),
        (("shots", "-o", "run/config.yaml"), "run/config.yaml is no folder"),
        (("shots", "-o", "run"), "run holds files already: choose another folder with -o DIR"),
        (("https://",), "names no file on a server"),
        (("",), "the name of an image is empty"),
        (("shots", "--font", "run/config.yaml"), "--font: font='run/config.yaml' cannot be read"),
        (("shots", "--device", "gpu"), "device 'gpu' is none: expected auto, cpu, cuda"),
    ],
)
def test_mistakes(predict, words, said):
    Path("empty").mkdir()
    status, out, err = predict(*words)
    assert status == 2
    assert said in err
    assert out == ""
    assert not Path("predictions").exists()


def test_an_image_with_an_equals_sign_in_its_name(predict):
    Path("shots/none.png").rename("a=b.png")
    assert "a=b.png: nothing found" in predict("a=b.png")[1]


def test_overwrite_replaces_files_of_the_same_names_only(predict):
    assert predict("shots")[0] == 0
    Path("predictions/mine.txt").write_text("mine")
    assert predict("shots")[0] == 2
    assert predict("shots/both.png", "--overwrite", "--threshold", "0.2")[0] == 0
    assert len(read("predictions/predictions.json")) == 2
    assert Path("predictions/mine.txt").read_text() == "mine"


def test_overwrite_tells_of_older_files_that_stay(predict):
    assert predict("shots")[0] == 0
    status, _, err = predict("shots/both.png", "--overwrite")
    assert status == 0
    assert "note: 2 older files of predict stay in predictions, such as predictions/images/more/blue" in err
    assert len(list(Path("predictions").glob("images/**/*.jpg"))) == 3
    assert predict("shots", "--overwrite")[2] == ""


def test_weights_of_a_backbone_are_not_those_of_a_model(place, capsys, monkeypatch):
    monkeypatch.setenv("LAZYCFG_OFFLINE", "1")  # nothing is to be downloaded
    config = "quickstart/boxes_small"
    for command in (["predict", config, "shots"], ["eval", config]):
        assert main([*command, "train.output_dir=run"]) == 2
        err = capsys.readouterr().err
        assert f"{config} names no weights of a whole model (ResNet18_Weights.IMAGENET1K_V1 is of" in err
        assert err.endswith(f"give the folder of its run, lazycfg {command[0]} run, or --weights FILE\n")
    assert main(["predict", config, "shots", "train.output_dir=nowhere"]) == 2
    assert capsys.readouterr().err.endswith("give the folder of its run, or --weights FILE\n")


def test_results_are_not_predicted_on_in_the_next_run(predict):
    first = predict("shots", "-o", "shots/found")
    assert first[0] == 0
    status, out, err = predict("shots", "-o", "shots/found", "--overwrite")
    assert (status, out) == first[:2]
    assert err == "note: left out as results of an earlier run: 3 of the files, in shots/found\n"
    # What is named is taken
    assert predict("shots/found/images", "-o", "other")[0] == 0
    assert len(read("other/images.json")["images"]) == 3
    _, out, _ = predict("shots/**/*", "-o", "shots/found", "--overwrite")
    assert "shots/found" not in out.split("wrote")[0]


def test_images_of_ones_own_in_the_folder_of_results_are_no_results(predict):
    Path("mine/images").mkdir(parents=True)
    Path("shots/both.png").rename("mine/images/both.png")
    status, out, _ = predict("mine", "-o", "mine", "--overwrite")
    assert status == 0
    assert "mine/images/both.png: 1 object" in out


@pytest.mark.parametrize("words", [["images"], ["images/a.jpg"], ["images/*.jpg"], ["."]])
def test_an_image_is_not_replaced_by_its_drawing(predict, words):
    Path("images").mkdir()
    Image.fromarray(picture(red=RED)).save("images/a.jpg")
    before = Path("images/a.jpg").read_bytes()
    if words != ["."]:
        status, out, err = predict(*words, "-o", ".", "--overwrite")
        assert (status, out) == (2, "")
        assert "images/a.jpg would be replaced by what is found in it: choose another folder" in err
        assert predict(*words, "-o", ".", "--overwrite", "--no-images")[0] == 0
    else:  # of another image
        Path("a.png").write_bytes(Path("shots/both.png").read_bytes())
        status, _, err = predict(*words, "-o", ".", "--overwrite")
        assert status == 2
        assert "images/a.jpg would be replaced" in err
    assert Path("images/a.jpg").read_bytes() == before


def test_an_error_keeps_what_was_done(predict, monkeypatch, capsys):
    from toy_detector import ToyDetector

    find = ToyDetector.find

    def broken(self, sample):
        if "none" in sample["file_name"]:
            raise RuntimeError("out of memory")
        return find(self, sample)

    monkeypatch.setattr(ToyDetector, "find", broken)
    status, out, err = predict("shots")
    assert status == 2
    assert out.count("shots/") == 2
    assert "ended after 2 of 3 images; predictions holds what was found" in err
    assert "RuntimeError: out of memory" in err
    assert len(read("predictions/images.json")["images"]) == 2
    assert len(read("predictions/predictions.json")) == 1


def test_an_image_without_a_drawing_is_in_no_file(predict, monkeypatch):
    from lazycfg.engine import Predictor

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "draw", stopped)
    assert predict("shots")[0] == 130
    assert read("predictions/images.json")["images"] == []
    assert read("predictions/predictions.json") == []


def test_names_that_begin_with_a_dash_and_urls_of_files(predict, place):
    Path("shots/both.png").rename("-n.png")
    assert "-n.png: 1 object" in predict("-o", "one", "--", "-n.png")[1]
    with pytest.raises(SystemExit):
        predict("-n.png")
    Path("a name%.png").write_bytes(Path("-n.png").read_bytes())
    url = (place / "a name%.png").as_uri()
    assert "a name%.png: 1 object" in predict(url, "-o", "two")[1]


def test_what_the_model_leaves_out_itself_is_told(predict):
    err = predict("shots", "--threshold", "0.05")[2]
    assert err == (
        "note: the model itself leaves out scores below 0.1; to have them: model.test_score_thresh=0.05\n"
    )


def test_ids_of_an_annotation_file(predict):
    truth = {
        "images": [
            {"id": 70, "file_name": "both.png", "height": 80, "width": 120},
            {"id": 50, "file_name": "deep/none.png", "height": 80, "width": 120},
        ],
        "annotations": [
            {"id": 1, "image_id": 70, "category_id": 9, "bbox": [10, 20, 40, 40], "area": 1600, "iscrowd": 0},
            {"id": 2, "image_id": 70, "category_id": 4, "bbox": [70, 5, 40, 40], "area": 1600, "iscrowd": 0},
        ],
        "categories": [{"id": 4, "name": "blue"}, {"id": 9, "name": "red"}],
    }
    Path("truth.json").write_text(json.dumps(truth))
    words = ["--annotations", "truth.json", "--threshold", "0.1"]
    assert predict("shots/both.png", "shots/none.png", *words)[0] == 0
    found = read("predictions/predictions.json")
    assert [(each["image_id"], each["category_id"]) for each in found] == [(70, 9), (70, 4)]
    assert [image["id"] for image in read("predictions/images.json")["images"]] == [70, 50]
    scores = evaluate_json("truth.json", "predictions/predictions.json", "bbox")
    assert scores.metrics()["AP"] == pytest.approx(100)
    status, out, err = predict("shots", "-o", "other", *words)
    assert (status, out) == (2, "")
    assert "more/blue.png: truth.json does not have this image" in err
    assert not Path("other").exists()
    truth["categories"][1]["name"] = "pink"
    Path("truth.json").write_text(json.dumps(truth))
    err = predict("shots/both.png", "-o", "other", *words)[2]
    assert "truth.json has no category for 1 of the 2 classes of the model: red" in err


def test_ids_of_names_that_come_twice(predict):
    names = ["both.png", "more/both.png", "other/deep/blue.png"]
    truth = {
        "images": [
            {"id": 10 + i, "file_name": name, "height": 80, "width": 120} for i, name in enumerate(names)
        ],
        "annotations": [],
        "categories": [{"id": 4, "name": "blue"}, {"id": 9, "name": "red"}],
    }
    Path("truth.json").write_text(json.dumps(truth))
    Path("shots/more/both.png").write_bytes(Path("shots/both.png").read_bytes())
    words = ("shots/more/both.png", "shots/both.png", "shots/more/blue.png", "--annotations", "truth.json")
    assert predict(*words)[0] == 0
    assert [image["id"] for image in read("predictions/images.json")["images"]] == [11, 10, 12]
    Path("shots/blue.png").write_bytes(Path("shots/both.png").read_bytes())
    status, _, err = predict(*words, "shots/blue.png", "-o", "other")
    assert status == 2
    assert "shots/blue.png: truth.json has one image of this name, and shots/more/blue.png has it, too" in err
    assert not Path("other").exists()


def test_names_of_an_annotation_file_for_weights_without_names(predict):
    weights = Path("run/model_final.safetensors")
    bare = load_file(weights)
    weights.unlink()
    save_file(bare, weights)
    truth = {
        "images": [{"id": 70, "file_name": "both.png", "height": 80, "width": 120}],
        "annotations": [],
        "categories": [{"id": 9, "name": "rouge"}, {"id": 11, "name": "bleu"}],
    }
    Path("truth.json").write_text(json.dumps(truth))
    status, out, err = predict("shots/both.png", "--annotations", "truth.json", "--threshold", "0.1")
    assert status == 0
    assert "1 rouge, 1 bleu" in out
    assert "predict takes them from --annotations FILE" in " ".join(err.split())
    with open("predictions/predictions.csv") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["rouge", "bleu"]
    assert read("predictions/images.json")["categories"] == truth["categories"]


def test_tiles(predict):
    big = np.concatenate([picture(), picture(red=RED)], axis=1)
    Image.fromarray(big).save("big.png")
    status, _, err = predict("big.png", "--tile", "80x120", "--threshold", "0.05")
    assert status == 0
    assert "to have them: model.test_score_thresh=0.05\n" in err  # as the config has it, without the tiles
    (found,) = read("predictions/predictions.json")
    assert found["bbox"] == [130, 20, 40, 40]
    assert found["segmentation"]["size"] == [80, 240]


def test_ctrl_c_keeps_what_was_done(predict, monkeypatch):
    from lazycfg.engine import Predictor

    stream = Predictor.stream

    def two(self, *args, **kwargs):
        for number, result in enumerate(stream(self, *args, **kwargs)):
            if number == 2:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(Predictor, "stream", two)
    status, _, err = predict("shots")
    assert status == 130
    assert "interrupted after 2 of 3 images" in err
    assert len(read("predictions/images.json")["images"]) == 2
    assert len(list(Path("predictions/images").rglob("*.jpg"))) == 2


@pytest.fixture
def server(place, monkeypatch):
    monkeypatch.delenv("LAZYCFG_OFFLINE", raising=False)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(place / "shots")))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_urls(predict, server, monkeypatch, tmp_path_factory):
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    Path("shots/page.png").write_text("<html>log in</html>")
    urls = [f"{server}/both.png?size=1", f"{server}/gone.png", f"{server}/page.png"]
    status, out, err = predict(*urls)
    assert status == 1
    assert f"{urls[0]}: 1 object: 1 red" in out
    assert f"cannot download the image {urls[1]}: the server answered 404" in err
    assert f"cannot download the image {urls[2]}: what came is a web page" in err
    assert "train.init_checkpoint" not in err
    assert read("predictions/images.json")["images"][0]["file_name"] == urls[0]
    assert [path.name for path in Path("predictions/images").iterdir()] == ["both.jpg"]
    assert not list(temporary.iterdir())


def test_a_url_of_a_file_that_is_too_large(predict, server, monkeypatch):
    monkeypatch.setitem(sources._MOST_BYTES, "image", 100)
    status, _, err = predict(f"{server}/both.png")
    assert status == 1
    assert "bytes, and at most 100 are taken" in err


def test_models_that_are_named_otherwise(place, capsys, monkeypatch):
    config = ["predict", "run/config.yaml", "--trusted"]
    assert main([*config, "shots"]) == 2
    err = capsys.readouterr().err
    assert "run/config.yaml names no weights of a whole model: give the folder of its run, lazycfg " in err
    assert err.endswith(f"lazycfg predict {place / 'run'}, or --weights FILE\n")
    assert main([*config, "--weights", "run/model_final.safetensors", "shots", "-o", "a"]) == 0
    assert main(["predict", "run/model_final.safetensors", "shots"]) == 2
    assert "is a file of weights: give the config first" in capsys.readouterr().err
    assert main(["predict", "run", "shots", "-o", "b"]) == 2  # a data file that names other code
    assert "add --allow NAME" in capsys.readouterr().err
    assert main(["predict", "quickstart/mask_rcnn_shapes", "shots", "-o", "b"]) == 2
    assert "quickstart/mask_rcnn_shapes names no weights of a whole model: give" in capsys.readouterr().err
    monkeypatch.setenv("LAZYCFG_OFFLINE", "1")
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(place / "cache"))
    assert main(["predict", "COCO-Detection/retinanet_R_50_FPN_1x", "shots", "-o", "b"]) == 2
    assert "LAZYCFG_OFFLINE is set" in capsys.readouterr().err
    os.remove("run/model_final.safetensors")
    assert main(["predict", "run", "--trusted", "shots", "-o", "b"]) == 2
    assert "run holds no weights" in capsys.readouterr().err
    assert not Path("b").exists()


def test_pixels_and_segments(place, capsys):
    from toy_detector import ToyPanoptic, ToySegmenter

    make_run(place / "segmenter", L(ToySegmenter)(classes=2))
    assert main(["predict", "segmenter", "--trusted", "shots", "-o", "a"]) == 0
    assert "shots/both.png: 3 classes of pixels" in capsys.readouterr().out
    labels = np.asarray(Image.open("a/labels/both.png"))
    assert labels.shape == (80, 120)
    assert (labels[30, 30], labels[10, 80], labels[0, 0]) == (1, 2, 0)
    assert not Path("a/predictions.json").exists()
    make_run(place / "panoptic", L(ToyPanoptic)(classes=2))
    assert main(["predict", "panoptic", "--trusted", "shots/both.png", "-o", "b"]) == 0
    assert "shots/both.png: 2 segments" in capsys.readouterr().out
    (entry,) = read("b/panoptic.json")["annotations"]
    assert entry["file_name"] == "both.png"
    assert entry["segments_info"] == [{"id": 1, "category_id": 3}, {"id": 2, "category_id": 0}]
    assert np.asarray(Image.open("b/panoptic/both.png"))[30, 30].tolist() == [1, 0, 0]
    assert Path("b/images/both.jpg").is_file()


def test_segments_of_weights_without_classes(place, capsys):
    from toy_detector import ToyPanoptic

    make_run(place / "panoptic", L(ToyPanoptic)(classes=2))
    weights = place / "panoptic" / "model_final.safetensors"
    bare = load_file(weights)
    weights.unlink()
    save_file(bare, weights)
    for words in ((), ("--no-images",)):
        assert main(["predict", "panoptic", "--trusted", "shots/both.png", *words]) == 2
        assert "segments need the classes of the data" in capsys.readouterr().err


def test_more_classes_than_names(predict):
    weights = Path("run/model_final.safetensors")
    one = Metadata(name="x", thing_classes=("red",), thing_dataset_id_to_contiguous_id={2: 0})
    tensors = load_file(weights)
    weights.unlink()
    save_file(tensors, weights, metadata=weights_metadata(one))
    status, out, err = predict("shots/both.png", "--threshold", "0.2")
    assert status == 0
    assert "2 objects: 1 red, 1 of class 1" in out
    assert "note: the model finds classes up to 1, and the weights name 1 (red, ...)" in err
    # The class without a name has an id of its own, though 2 would follow from its number
    assert [each["category_id"] for each in read("predictions/predictions.json")] == [2, 4]
    assert [each["id"] for each in read("predictions/images.json")["categories"]] == [2, 4]


def test_models_of_the_zoo_have_the_ids_of_coco():
    ids = ImageIds(model_zoo.get_metadata("COCO-Detection/retinanet_R_50_FPN_1x"))
    found = dict(zip(ids.names, ids.categories(0), strict=True))
    assert (found["person"], found["stop sign"], found["toothbrush"]) == (1, 13, 90)
    person = ImageIds(model_zoo.get_metadata("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x"))
    assert person.categories(1) == [1]


def test_on_a_terminal_it_is_said_that_the_model_is_loaded(predict, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert predict("shots")[0] == 0
    assert terminal.getvalue() == "loading run ...\n"
