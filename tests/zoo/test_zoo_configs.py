"""Every config of the zoo: it loads afresh, is free of mistakes, and its model builds on the meta device."""

import sys
from types import ModuleType

import pytest
import torch

from lazycfg import LazyConfig, check, instantiate, model_zoo
from lazycfg.checkpoint import CheckpointError, download, published_checkpoints, remote_file, save_weights
from lazycfg.config import ConfigError
from lazycfg.engine import Predictor

JOB = {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
# Configs for data of your own; test_zoo_own_data.py gives them some.
NEEDS_DATA = {
    name
    for name in model_zoo.list_configs()
    if name.startswith("quickstart/") and name.endswith(("_json.py", "_nano.py", "_small.py", "_base.py"))
}
MMDET = "Misc/mmdet_mask_rcnn.py"  # its model is built by a package that is not installed here
COMPLETE = [name for name in model_zoo.list_configs() if name not in NEEDS_DATA]


def test_the_zoo_is_found():
    assert "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py" in model_zoo.list_configs()
    assert len(NEEDS_DATA) == 19


def test_a_wrong_name_proposes_the_right_one():
    with pytest.raises(FileNotFoundError, match=r"mask_rcnn_R_50_FPN_1x\.py"):
        model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R50_FPN_1x.py")


@pytest.mark.parametrize("suffix", ["", ".py", ".yaml"])
def test_a_config_is_found_by_the_name_of_the_reference_too(suffix):
    name = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"
    assert model_zoo.get_config(name + suffix) == model_zoo.get_config(name)
    assert model_zoo.get_checkpoint_url(name + suffix).endswith("/137849600/model_final_f10217.pkl")
    assert model_zoo.get_config(name + suffix, trained=True).train.init_checkpoint == name


def test_weights_that_were_not_published_are_refused():
    name = "COCO-Detection/fcos_R_50_FPN_1x"
    for call in (model_zoo.get_checkpoint_url, lambda name: model_zoo.get_config(name, trained=True)):
        with pytest.raises(CheckpointError, match=f"no weights were published for {name}"):
            call(name)


def test_every_published_checkpoint_of_the_zoo_has_a_config():
    projects = ("DeepLab/", "DensePose/", "PanopticDeepLab/", "PointRend/")
    published = {f"{name}.py" for name in published_checkpoints() if not name.startswith(projects)}
    assert published <= set(model_zoo.list_configs())
    assert len(published) == 98


def test_published_weights_are_loaded_by_name(tmp_path, monkeypatch):
    """As `get` would download them: a file in the cache, and its name."""
    name = "COCO-Detection/faster_rcnn_R_50_FPN_1x"
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(download, "_check_kept", lambda path, remote: None)
    place = remote_file(name).path
    place.parent.mkdir(parents=True)
    model = instantiate(model_zoo.get_config(name).model)
    model.roi_heads.box_predictor.cls_score.bias.data.fill_(0.25)
    save_weights(model, tmp_path / "model.pth")
    (tmp_path / "model.pth").rename(place)
    assert model_zoo.get(name, trained=True).roi_heads.box_predictor.cls_score.bias.eq(0.25).all()
    predictor = Predictor.from_zoo(name, device="cpu")
    assert predictor.model.roi_heads.box_predictor.cls_score.bias.eq(0.25).all()
    assert predictor.metadata.thing_classes[17] == "horse"


@pytest.mark.parametrize("name", model_zoo.list_configs())
def test_config_is_a_whole_job_and_nothing_else(name):
    # they come by imports that a linter may take for unused
    assert set(model_zoo.get_config(name)) == JOB | ({"data", "image"} if name in NEEDS_DATA else set())


@pytest.fixture
def mmdet_stand_in(monkeypatch):
    """A package that builds the network that the dict names: with the parts of its real one."""

    class MaskRCNN(torch.nn.Module):
        loss = predict = init_weights = lambda self: None

        def __init__(self, *, type, backbone, neck, rpn_head, roi_head, train_cfg, test_cfg):
            super().__init__()
            assert (type, roi_head["bbox_head"]["num_classes"]) == ("MaskRCNN", 80)
            self.conv = torch.nn.Conv2d(3, backbone["depth"], 1)

    contents = {
        "mmdet": {},
        "mmdet.models": {"build_detector": lambda config: MaskRCNN(**config)},
        "mmcv": {"ConfigDict": dict},
    }
    for name, names in contents.items():
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[name]).update(names)
    sys.modules["mmdet"].models = sys.modules["mmdet.models"]


@pytest.mark.parametrize("name", COMPLETE)
def test_config_is_sound(name, request):
    cfg = model_zoo.get_config(name)
    check(cfg)
    if name == MMDET:
        request.getfixturevalue("mmdet_stand_in")
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_every_load_is_fresh():
    name = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"
    model_zoo.get_config(name).model.roi_heads.num_classes = 3
    assert model_zoo.get_config(name).model.roi_heads.num_classes == 80


@pytest.mark.parametrize("name", COMPLETE)
def test_model_and_mapper_agree_on_the_order_of_channels(name):
    cfg = model_zoo.get_config(name)
    formats = {loader.mapper.image_format for loader in (cfg.dataloader.train, cfg.dataloader.test)}
    assert formats == {cfg.model.input_format}


@pytest.mark.parametrize("name", model_zoo.list_configs())
def test_the_seed_of_a_run_is_that_of_its_data(name):
    cfg = model_zoo.get_config(name)
    assert cfg.dataloader.train.seed == 42
    for seed in (7, None, -1):
        cfg.train.seed = seed
        assert cfg.dataloader.train.seed == seed


@pytest.mark.parametrize("seed", [None, -1])
def test_without_a_seed_every_run_has_other_data(seed):
    cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes.py")
    cfg.train.seed = seed
    first, second = (instantiate(cfg)["dataloader"]["train"].dataset.seed for _ in range(2))
    assert first != second
    cfg.train.seed = 7
    assert instantiate(cfg)["dataloader"]["train"].dataset.seed == 7


def test_epochs_of_the_long_trainings():
    name = "new_baselines/mask_rcnn_R_50_FPN_{}ep_LSJ.py"
    one, four = (model_zoo.get_config(name.format(epochs)) for epochs in (100, 400))
    assert four.train.max_iter == 4 * one.train.max_iter
    # the learning rate falls after the same share of training
    schedule = instantiate(four.lr_multiplier)
    assert schedule(163888 / 184375) == 1.0
    assert schedule(163890 / 184375) == 0.1


def test_statistics_over_all_processes_everywhere():
    cfg = model_zoo.get_config("Misc/scratch_mask_rcnn_R_50_FPN_9x_syncbn.py")
    resnet, heads = cfg.model.backbone.bottom_up, cfg.model.roi_heads
    assert {cfg.model.backbone.norm, resnet.stem.norm, resnet.stages.norm} == {"SyncBN"}
    assert {heads.box_head.conv_norm, heads.mask_head.conv_norm} == {"SyncBN"}
    assert (resnet.freeze_at, resnet.stages.stride_in_1x1, cfg.train.init_checkpoint) == (0, False, "")


def test_resnext_and_dilation():
    with torch.device("meta"):
        resnext = instantiate(model_zoo.get_config("COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x.py").model)
        dilated = instantiate(model_zoo.get_config("COCO-Detection/faster_rcnn_R_50_DC5_1x.py").model)
    conv = resnext.backbone.bottom_up.res3[1].conv2
    assert (conv.weight.shape, conv.groups) == ((512, 16, 3, 3), 32)
    assert dilated.backbone.output_shape()["res5"].stride == 16
    assert dilated.backbone.res5[0].conv2.dilation == (2, 2)


def test_own_data_needs_two_files():
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    with pytest.raises(ConfigError, match=r"data\.train_json"):
        check(cfg)


def test_own_data_counts_its_classes(tmp_path):
    from lazycfg.data import ShapesDataset

    ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    (annotations,) = tmp_path.rglob("*.json")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    LazyConfig.apply_overrides(cfg, [f"data.train_json={annotations}", f"data.test_json={annotations}"])
    built = instantiate(cfg.model)
    assert built.roi_heads.box_predictor.num_classes == 4


@pytest.mark.parametrize("masks", [True, False])
def test_own_data_is_read_with_masks_if_there_is_a_head_for_them(tmp_path, masks):
    from lazycfg.data import ShapesDataset

    ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    (annotations,) = tmp_path.rglob("*.json")
    overrides = [f"data.train_json={annotations}", f"data.test_json={annotations}"]
    if not masks:
        overrides.append("model.roi_heads.mask_head=None")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    LazyConfig.apply_overrides(cfg, overrides)
    built = instantiate(cfg)
    batch = next(iter(built["dataloader"]["train"]))
    assert all(x["instances"].has("gt_masks") is masks for x in batch)
    assert built["model"].roi_heads.mask_on is masks
