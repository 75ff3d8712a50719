"""The whole path with a real, if tiny, Mask R-CNN on generated shapes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate
from lazycfg.engine import CallbackHook, Predictor, SettingsError, evaluate, train
from lazycfg.engine.build import build_at

CONFIG = Path(__file__).parent / "tiny_mask_rcnn.py"


def tiny_config(output_dir, **settings):
    cfg = LazyConfig.load(CONFIG)
    cfg.train.update(output_dir=str(output_dir), **settings)
    return cfg


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(tiny_config(folder))


@pytest.mark.slow
def test_it_learns(trained):
    folder, results = trained
    assert results["bbox"]["AP50"] > 20, results["bbox"]
    assert results["segm"]["AP50"] > 10, results["segm"]
    pictures = sorted(path.name for path in (folder / "pictures").glob("*.jpg"))
    assert len(pictures) == 2
    with Image.open(folder / "pictures" / pictures[0]) as picture:
        assert picture.width > 2 * 64
    log = (folder / "log.txt").read_text()
    assert "GeneralizedRCNN, 0.4M parameters" in log
    assert "shapes_test, 12 images, 2 classes (circle, square)" in log


def test_a_stopped_run_resumes_to_the_same_bits(tmp_path):
    class Stop(Exception):
        pass

    def stop(trainer):
        if trainer.iter == 3:
            raise Stop

    def job(name, **settings):
        cfg = tiny_config(
            tmp_path / name, max_iter=5, checkpointer={"period": 3, "max_to_keep": 1}, **settings
        )
        cfg.dataloader.train.total_batch_size = 2
        del cfg.dataloader["evaluator"]
        return cfg

    train(job("whole"))
    with pytest.raises(Stop):
        train(job("stopped", hooks=[L(CallbackHook)(after_step=stop)]))
    train(job("stopped"), resume=True)
    whole, resumed = (load_file(tmp_path / name / "model_final.safetensors") for name in ("whole", "stopped"))
    assert [key for key in whole if not torch.equal(whole[key], resumed[key])] == []


def test_bf16_on_the_cpu(tmp_path):
    cfg = tiny_config(tmp_path, max_iter=2, amp={"enabled": True, "dtype": "bfloat16"})
    del cfg.dataloader["evaluator"]
    losses = train(cfg)["train"]
    assert np.isfinite(losses["total_loss"])
    assert {"loss_cls", "loss_box_reg", "loss_mask", "loss_rpn_cls", "loss_rpn_loc"} <= set(losses)


@pytest.fixture(scope="module")
def shapes():
    """Pictures of the test set, RGB (H, W, 3) uint8."""
    path = "dataloader.test.dataset"
    dataset = build_at(LazyConfig.load(CONFIG), [path])[path]
    return [dataset[i]["image"] for i in range(3)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model that is not trained, but whose scores are above every threshold."""
    from lazycfg.checkpoint import save_weights

    torch.manual_seed(0)
    model = build_at(LazyConfig.load(CONFIG), ["model"])["model"]
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_weights(model, path)
    return path


def same(a, b):
    assert a.image_size == b.image_size
    torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)


def test_predictions_do_not_depend_on_how_pictures_are_given(shapes, weights, tmp_path):
    overrides = ["model.roi_heads.box_predictor.test_score_thresh=0.0"]
    predictor = Predictor.from_config(
        CONFIG, weights=weights, overrides=overrides, device="cpu", channel_order="RGB"
    )
    expected = [predictor(image) for image in shapes]
    assert all(len(instances) > 0 and instances.has("pred_masks") for instances in expected)
    assert expected[0].image_size == (64, 64)

    files = [tmp_path / f"{i}.png" for i in range(3)]
    for image, file in zip(shapes, files, strict=True):
        Image.fromarray(image).save(file)
    ways = {
        "files": files,
        "arrays": shapes,
        "tensors": [torch.from_numpy(image).permute(2, 0, 1) for image in shapes],
        "pillow": [Image.open(file) for file in files],
    }
    for pictures in ways.values():
        for a, b in zip(predictor(pictures), expected, strict=True):
            same(a, b)

    batched = Predictor(predictor.model, mapper=predictor.mapper, batch_size=2, device=None)
    for a, b in zip(batched.stream(iter(shapes), channel_order="RGB"), expected, strict=True):
        same(a, b)
    bgr = Predictor(predictor.model, mapper=predictor.mapper, channel_order="BGR", device=None)
    same(bgr(shapes[0][:, :, ::-1]), expected[0])
    same(bgr(shapes[0], channel_order="RGB"), expected[0])
    same(bgr(files[0]), expected[0])  # files know theirs
    assert predictor([]) == []


def test_predictions_come_in_pixels_of_the_picture_given(shapes, weights):
    from lazycfg.data import DatasetMapper
    from lazycfg.data import transforms as T

    cfg = LazyConfig.load(CONFIG)
    cfg.dataloader.test.mapper = L(DatasetMapper)(
        is_train=False, augmentations=[L(T.ResizeShortestEdge)(short_edge_length=96, max_size=200)]
    )
    predictor = Predictor.from_config(cfg, weights=weights, device="cpu", channel_order="RGB")
    seen = []
    predictor.model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[-1]))
    instances = predictor(np.repeat(shapes[0], 2, axis=1))
    assert instances.image_size == (64, 128)
    assert seen == [192]


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), ValueError, "uint8"),
        (np.zeros((8, 8), np.uint8), ValueError, r"\(H, W, 3\)"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), ValueError, r"\(3, H, W\)"),
        ("no_such.png", FileNotFoundError, "no_such.png"),
        ([object()], TypeError, "an image is a file"),
        (np.zeros((8, 0, 3), np.uint8), ValueError, "no pixels"),
        (torch.zeros(3, 0, 8, dtype=torch.uint8), ValueError, "no pixels"),
        (np.zeros((8, 8, 3), np.uint8), ValueError, "channel_order='BGR'"),
        (".", IsADirectoryError, "is a folder; pass its files"),
    ],
)
def test_what_is_no_picture_is_refused(weights, picture, error, message):
    predictor = Predictor.from_config(CONFIG, weights=weights, device="cpu")
    with pytest.raises(error, match=message):
        predictor(picture)


def test_fused_or_not_the_answers_are_the_same(shapes, weights):
    plain = Predictor.from_config(CONFIG, weights=weights, device="cpu", fuse=False)
    fused = Predictor.from_config(CONFIG, weights=weights, device="cpu")
    copied = Predictor(plain.model, mapper=plain.mapper, device=None, fuse=True)
    assert any("norm" in name for name in plain.model.state_dict())
    for predictor in (fused, copied):
        assert not any("norm" in name for name in predictor.model.state_dict())
        for image in shapes:
            a, b = (each(image, channel_order="RGB") for each in (predictor, plain))
            assert len(a) == len(b)
            torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-4, atol=1e-2)
            torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)


def test_evaluating_a_fused_model(weights, tmp_path):
    cfg = LazyConfig.load(CONFIG)
    cfg.train.update(output_dir=str(tmp_path), pictures=0)
    model = instantiate(cfg.model)
    names = set(model.state_dict())
    plain = evaluate(cfg, weights=weights)
    fused = evaluate(cfg, weights=weights, fuse=True)
    given = evaluate(cfg, model, weights=weights, fuse=True)
    assert set(model.state_dict()) == names
    for result in (fused, given):
        for metric, value in plain["bbox"].items():
            assert result["bbox"][metric] == pytest.approx(value, abs=0.5, nan_ok=True)


def test_a_predictor_needs_weights():
    with pytest.raises(SettingsError, match="weights=FILE"):
        Predictor.from_config(CONFIG)
