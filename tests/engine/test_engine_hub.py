"""Models go to a hub and come back; what comes from there is not trusted."""

import json
import sys
from pathlib import Path

import hub_server
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lazycfg import LazyConfig, model_zoo
from lazycfg.checkpoint import CheckpointError, UnsafeFileError, load_weights, save_weights
from lazycfg.cli.main import main
from lazycfg.config import ConfigError, UntrustedError, instantiate
from lazycfg.data import Metadata
from lazycfg.engine import Predictor, pull_from_hub, push_to_hub, save_for_hub
from lazycfg.engine.run_metadata import weights_metadata

constants = pytest.importorskip("huggingface_hub.constants")

CLASSES = ("cat", "a|b", "<script>", "dog")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, as `train` leaves it."""
    folder = tmp_path_factory.mktemp("run")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes")
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    metadata = weights_metadata(Metadata(name="mine", thing_classes=CLASSES))
    save_weights(model, folder / "model_final.safetensors", metadata=metadata)
    LazyConfig.save(cfg, str(folder / "config.yaml"))
    results = {"bbox": {"AP": 41.25, "APs": None, "AP-cat": 3.0}, "segm": {"AP": 37.5}, "note": "x"}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture
def server(monkeypatch, tmp_path):
    with hub_server.serving() as serving:
        monkeypatch.setenv("HF_ENDPOINT", serving.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path / "weights"))
        monkeypatch.delenv("LAZYCFG_OFFLINE", raising=False)
        yield serving


def predicted(predictor):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return predictor(image, channel_order="RGB")


def test_there_and_back(run, server, monkeypatch):
    url = push_to_hub(run, "me/shapes", license="apache-2.0", text="Of **shapes**.", token="hf_secret")
    assert url.startswith(f"{server.url}/me/shapes/commit/")
    (files,) = server.repos["me/shapes"]
    assert set(files) == {"config.yaml", "model.safetensors", "results.json", "README.md"}
    assert {token for method, _, token in server.asked if method == "POST"} == {"Bearer hf_secret"}

    expected = predicted(
        Predictor.from_config(run / "config.yaml", weights=run / "model_final.safetensors", device="cpu")
    )
    assert len(expected) > 0
    for name in ("me/shapes", "hf://me/shapes", f"me/shapes@{url.rpartition('/')[2]}"):
        predictor = Predictor.from_hub(name, device="cpu")
        assert predictor.metadata.thing_classes == CLASSES
        found = predicted(predictor)
        assert torch.equal(found.pred_boxes.tensor, expected.pred_boxes.tensor)
        assert torch.equal(found.scores, expected.scores)

    # the name of the weights alone, as the card says
    model = instantiate(LazyConfig.load(run / "config.yaml").model)
    assert not load_weights(model, "hf://me/shapes/model.safetensors").problems
    # without a server, what was downloaded is taken
    monkeypatch.setenv("LAZYCFG_OFFLINE", "1")
    asked = len(server.asked)
    assert pull_from_hub("me/shapes").is_dir()
    assert len(server.asked) == asked


def test_the_card(run, tmp_path):
    save_for_hub(run, tmp_path / "hub", repo="me/shapes", license="mit", text="Of **shapes**.")
    card = (tmp_path / "hub" / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head == {
        "library_name": "lazycfg",
        "license": "mit",
        "pipeline_tag": "image-segmentation",
        "tags": ["lazycfg"],
    }
    for line in (
        "# shapes",
        "Of **shapes**.",
        "predictor = Predictor.from_hub('me/shapes')",
        "| bbox | AP | 41.25 |",
        "| segm | AP | 37.5 |",
        "## Classes (4)",
        r"cat, a\|b, \<script\>, dog",
    ):
        assert line in card.splitlines()
    assert "None was given" not in card
    save_for_hub(run, tmp_path / "hub")
    assert "None was given" in (tmp_path / "hub" / "README.md").read_text()


def test_a_folder_is_read_as_a_repository(run, tmp_path):
    save_for_hub(run, tmp_path / "hub")
    assert len(predicted(Predictor.from_hub(tmp_path / "hub", device="cpu")))


def test_a_config_and_weights(run, tmp_path):
    cfg = LazyConfig.load(run / "config.yaml")
    model = instantiate(cfg.model)
    save_weights(model, tmp_path / "mine.pth")
    save_for_hub((cfg, tmp_path / "mine.pth"), tmp_path / "hub")
    predictor = Predictor.from_hub(tmp_path / "hub", device="cpu")
    for key, value in predictor.model.state_dict().items():
        assert key not in model.state_dict() or value.shape == model.state_dict()[key].shape
    with pytest.raises(FileNotFoundError, match="no config"):
        save_for_hub((tmp_path / "none.yaml", tmp_path / "mine.pth"), tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="not the folder of a run"):
        save_for_hub(tmp_path, tmp_path / "other")


def test_what_comes_from_there_runs_nothing(run, server, tmp_path):
    push_to_hub(run, "evil/shapes")
    files = server.repos["evil/shapes"][-1]
    mark = tmp_path / "mark"
    for target in ("os.system", "pathlib.Path.touch", "torch.hub.load"):
        config = f"model:\n  _target_: {target}\n  command: touch {mark}\n"
        server.repos["evil/shapes"].append(files | {"config.yaml": config.encode()})
        with pytest.raises(UntrustedError, match="not allowed"):
            Predictor.from_hub("evil/shapes", device="cpu")

    class Program:
        def __reduce__(self):
            import os

            return os.system, (f"touch {mark}",)

    torch.save({"model": Program()}, tmp_path / "evil.pth")
    evil = (tmp_path / "evil.pth").read_bytes()
    server.repos["evil/shapes"].append(files | {"model.safetensors": evil})
    with pytest.raises(UnsafeFileError, match="refused"):
        Predictor.from_hub("evil/shapes", device="cpu")
    assert not mark.exists()


def test_a_link_makes_no_code_of_a_data_file(run, tmp_path):
    save_for_hub(run, tmp_path / "hub")
    mark = tmp_path / "mark"
    (tmp_path / "hub" / "code.py").write_text(f"open({str(mark)!r}, 'w')\nmodel = {{}}\n")
    (tmp_path / "hub" / "config.yaml").unlink()
    (tmp_path / "hub" / "config.yaml").symlink_to("code.py")
    with pytest.raises(ConfigError):
        Predictor.from_hub(tmp_path / "hub", device="cpu")
    assert not mark.exists()


def test_what_others_have_to_allow_is_in_the_card(run, tmp_path, caplog):
    cfg = LazyConfig.load(run / "config.yaml")
    cfg.train.my_function = json.loads
    save_for_hub((cfg, run / "model_final.safetensors"), tmp_path / "hub", repo="me/shapes")
    assert "whoever pulls me/shapes has to allow" in caplog.text
    assert "json.loads" in (tmp_path / "hub" / "README.md").read_text()
    with pytest.raises(UntrustedError):
        Predictor.from_hub(tmp_path / "hub", device="cpu")


def test_what_is_not_there(server, run):
    with pytest.raises(CheckpointError, match="cannot get me/nothing from the hub"):
        Predictor.from_hub("me/nothing")
    server.repos["me/other"] = [{"README.md": b"# other"}]
    with pytest.raises(CheckpointError, match=r"me/other holds no config\.yaml"):
        Predictor.from_hub("me/other")


@pytest.mark.parametrize("repo", ["shapes", "me/shapes/more", "../x/y", "me/.."])
def test_names_that_are_none(repo, run):
    for call in (pull_from_hub, lambda name: push_to_hub(run, name)):
        with pytest.raises(ValueError, match="is no repository of the hub"):
            call(repo)


def test_the_commands(run, server, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["push", str(run), "me/shapes", "--license", "mit", "--to", "files"]) == 0
    assert "license: mit" in (tmp_path / "files" / "README.md").read_text()
    assert not server.asked
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save("a.png")
    assert main(["predict", "files", "a.png", "--device", "cpu", "-o", "of_files"]) == 0
    capsys.readouterr()
    assert main(["push", str(run), "me/shapes", "--private"]) == 0
    assert f"{server.url}/me/shapes/commit/" in capsys.readouterr().out
    assert main(["pull", "me/shapes"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / "model.safetensors").is_file()
    assert main(["predict", "hf://me/shapes", "a.png", "--device", "cpu", "--threshold", "0"]) == 0
    assert (tmp_path / "predictions" / "predictions.json").is_file()

    config = "model:\n  _target_: torch.nn.Linear\n  in_features: ${oc.env:HOME}\n  out_features: 2\n"
    server.repos["me/shapes"].append(server.repos["me/shapes"][0] | {"config.yaml": config.encode()})
    assert main(["predict", "hf://me/shapes", "a.png", "-o", "other"]) == 2
    assert "not allowed" in capsys.readouterr().err
    for words, message in {
        ("push", str(tmp_path / "nothing"), "me/shapes"): "is not the folder of a run",
        ("push", str(run), "shapes"): "is no repository of the hub",
        ("push", str(run), "shapes", "--to", "new"): "is no repository of the hub",
        ("push", str(run), "me/shapes", "--to", str(run)): "has another config.yaml, which would be replaced",
        ("pull", "me/nothing"): "cannot get me/nothing from the hub",
    }.items():
        assert main([*words]) == 2
        assert message in capsys.readouterr().err


def test_files_of_others_are_not_replaced(run, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("README.md", "results.json", "config.yaml"):
        (folder / name).write_text("mine")
        with pytest.raises(FileExistsError, match=f"project has another {name}"):
            save_for_hub(run, folder)
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]
        (folder / name).unlink()
    save_for_hub(run, folder)
    assert (folder / "results.json").is_file()
    # Results of another model do not stay
    save_for_hub((run / "config.yaml", run / "model_final.safetensors"), folder)
    assert not (folder / "results.json").exists()


def test_without_the_package(monkeypatch, run):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'lazycfg\[hub\]'"):
        push_to_hub(run, "me/shapes")
