"""What old calls give: configs, catalogs, transforms, predictor, checkpoints, training."""

import copy
import os

import numpy as np
import old_files
import pytest
import torch


def test_cfgnode_merges_like_yacs(tmp_path):
    from detectron2.config import CfgNode, get_cfg

    (tmp_path / "base.yaml").write_text("SOLVER:\n  STEPS: (10, 20)\nMODEL:\n  MASK_ON: True\n")
    (tmp_path / "top.yaml").write_text("_BASE_: base.yaml\nSOLVER:\n  MAX_ITER: 30\nINPUT:\n  FORMAT: RGB\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(tmp_path / "top.yaml"))
    assert cfg.SOLVER.STEPS == (10, 20)
    assert cfg.SOLVER.MAX_ITER == 30
    assert cfg.MODEL.MASK_ON
    cfg.merge_from_list(["SOLVER.STEPS", "(1, 2)", "MODEL.WEIGHTS", "a.pth", "SOLVER.BASE_LR", 0.5])
    assert (cfg.SOLVER.STEPS, cfg.MODEL.WEIGHTS, cfg.SOLVER.BASE_LR) == ((1, 2), "a.pth", 0.5)
    with pytest.raises(KeyError, match=r"SOLVER\.MAX_ITR.*did you mean 'MAX_ITER'"):
        cfg.merge_from_list(["SOLVER.MAX_ITR", 3])
    with pytest.raises(ValueError, match=r"type mismatch .*SOLVER\.MAX_ITER"):
        cfg.merge_from_list(["SOLVER.MAX_ITER", "many"])
    cfg.register_deprecated_key("SOLVER.OLD")
    cfg.register_renamed_key("SOLVER.LR", "SOLVER.BASE_LR")
    cfg.merge_from_list(["SOLVER.OLD", 3])
    with pytest.raises(KeyError, match=r"SOLVER\.LR was renamed to SOLVER\.BASE_LR"):
        cfg.merge_from_list(["SOLVER.LR", 3])
    cfg.MINE = CfgNode({"A": 1}, new_allowed=True)  # a new group by attribute
    cfg.MINE.B = [1]
    cfg.merge_from_list(["MINE.C", "x"])
    again = get_cfg()
    again.set_new_allowed(True)
    again.merge_from_other_cfg(CfgNode(CfgNode.load_cfg(cfg.dump())))
    assert again.dump() == cfg.dump()
    assert again.MINE.C == "x"
    other = cfg.clone()
    other.freeze()
    with pytest.raises(AttributeError, match=r"frozen: cfg\.defrost\(\)"):
        other.MODEL.MASK_ON = False
    assert not cfg.is_frozen()
    assert copy.deepcopy(other).is_frozen()
    with pytest.raises(AttributeError, match="no key 'MODLE'; did you mean 'MODEL'"):
        _ = cfg.MODLE


def test_catalogs_hold_what_was_registered_and_coco():
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets import register_coco_instances

    records = [{"file_name": "a.png", "image_id": 0, "height": 4, "width": 5, "annotations": []}]
    DatasetCatalog.register("d2_test_catalog", lambda: records)
    with pytest.raises(AssertionError, match="already registered"):
        DatasetCatalog.register("d2_test_catalog", lambda: records)
    assert DatasetCatalog.get("d2_test_catalog") is records
    meta = MetadataCatalog.get("d2_test_catalog").set(thing_classes=["a"])
    assert meta.thing_classes == ["a"]
    assert meta.get("thing_colors", 3) == 3
    with pytest.raises(AssertionError, match="cannot be set to a different value"):
        meta.thing_classes = ["b"]
    with pytest.raises(AttributeError, match="does not exist in the metadata of dataset 'd2_test_catalog'"):
        _ = meta.stuff_classes
    DatasetCatalog.remove("d2_test_catalog")
    MetadataCatalog.remove("d2_test_catalog")
    register_coco_instances("d2_test_unread", {}, "unread.json", ".")
    with pytest.raises(AttributeError, match=r"; DatasetCatalog.get\('d2_test_unread'\) reads them"):
        _ = MetadataCatalog.get("d2_test_unread").thing_classes
    with pytest.raises(KeyError, match="not registered"):
        DatasetCatalog.get("d2_test_catalog")
    coco = MetadataCatalog.get("coco_2017_val")
    assert len(coco.thing_classes) == 80
    assert coco.thing_colors[0] == [220, 20, 60]
    assert coco.thing_dataset_id_to_contiguous_id[90] == 79
    stuff = MetadataCatalog.get("coco_2017_val_panoptic_separated").stuff_classes
    assert len(stuff) == 54
    assert stuff[:2] == ["things", "banner"]
    assert stuff[-1] == "rug"
    assert MetadataCatalog.get("keypoints_coco_2017_val").keypoint_names[16] == "right_ankle"


def test_images_are_arrays_and_sizes_are_those_of_arrays(tmp_path):
    from detectron2.data import detection_utils as utils
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (utils.read_image(str(tmp_path / "a.png"), "BGR") == pixels[..., ::-1]).all()
    assert utils.read_image(str(tmp_path / "a.png"), "L").shape == (6, 9, 1)
    record = {}
    utils.check_image_size(record, pixels)
    assert record == {"height": 6, "width": 9}
    with pytest.raises(utils.SizeMismatchError):
        utils.check_image_size({"height": 9, "width": 6}, pixels)


def test_augmentations_take_the_old_calls():
    import detectron2.data.transforms as T
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    resize = T.ResizeShortestEdge([20, 20], 100).get_transform(image)
    assert isinstance(resize, T.ResizeTransform)
    assert resize.apply_image(image).shape == (20, 30, 3)
    pillow = np.asarray(Image.fromarray(image).resize((30, 20), Image.BILINEAR)).astype(int)
    assert np.abs(resize.apply_image(image) - pillow).max() <= 1
    # Other numbers than bytes are sampled without antialiasing, labels at the upper left pixel
    floats = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(), (20, 30), mode="bilinear", align_corners=False
    )[0].permute(1, 2, 0)
    assert np.allclose(resize.apply_image(image.astype(np.float32)), floats, atol=1e-4)
    labels = np.arange(2400.0).reshape(40, 60)
    assert (resize.apply_segmentation(labels) == labels[::2, ::2]).all()
    assert T.Resize((8, 9), Image.NEAREST).get_transform(image).apply_image(image).shape == (8, 9, 3)

    class Darker(T.Transform):
        def __init__(self, factor):
            super().__init__()
            self._set_attributes(locals())

        def apply_image(self, img):
            return (img * self.factor).astype(img.dtype)

        def apply_coords(self, coords):
            return coords

    class RandomDarker(T.Augmentation):
        def __init__(self, low):
            super().__init__()
            self._init(locals())

        def get_transform(self, image):
            return Darker(self._rand_range(self.low, 1.0))

    def run():
        np.random.seed(3)
        aug_input = T.AugInput(image, boxes=np.array([[1.0, 2, 3, 4]]))
        transforms = T.AugmentationList(
            [T.RandomFlip(0.5), RandomDarker(0.5), T.RandomCrop("absolute", (8, 8))]
        )(aug_input)
        return aug_input.image, transforms

    first, transforms = run()
    assert first.shape == (8, 8, 3)
    assert isinstance(transforms[-1], T.Transform)
    assert (first == run()[0]).all()  # numpy's global generator decides
    out, _ = T.apply_augmentations([T.HFlipTransform(60)], image)
    assert (out == image[:, ::-1]).all()
    grey = T.ColorTransform(lambda img: img.mean(axis=2, keepdims=True).repeat(3, 2)).apply_image(image)
    assert grey.shape == image.shape
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize(
    "name", ["mask_rcnn_R_50_FPN", pytest.param("faster_rcnn_R_50_DC5", marks=pytest.mark.slow)]
)
def test_the_predictor_gives_the_numbers_of_the_reference(name, tmp_path):
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor
    from detectron2.evaluation.coco_evaluation import instances_to_coco_json
    from detectron2.modeling import GeneralizedRCNN
    from detectron2.utils.visualizer import ColorMode, Visualizer

    config, _ = old_files.write(tmp_path, name)
    cfg = get_cfg()
    cfg.merge_from_file(config)
    predictor = DefaultPredictor(cfg)
    assert isinstance(predictor.model, GeneralizedRCNN)
    outputs = predictor(old_files.image())
    found = outputs["instances"]
    old_files.assert_as_expected(name, found.pred_boxes.tensor, found.scores, found.pred_classes)
    cfg.INPUT.FORMAT = "RGB"  # the same weights, given the channels the other way round
    flipped = DefaultPredictor(cfg)(np.ascontiguousarray(old_files.image()[..., ::-1]))["instances"]
    torch.testing.assert_close(flipped.scores, found.scores)
    drawn = Visualizer(old_files.image()[..., ::-1], predictor.metadata, 1.5, ColorMode.SEGMENTATION)
    picture = drawn.draw_instance_predictions(found.to("cpu")).get_image()
    assert picture.shape == (288, 384, 3)
    entries = instances_to_coco_json(found.to("cpu"), 7)
    assert len(entries) == 30
    assert entries[0]["image_id"] == 7


def test_checkpoints_need_not_fit_and_nothing_is_loaded_for_nothing(tmp_path, caplog):
    from detectron2.checkpoint import DetectionCheckpointer, PeriodicCheckpointer

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    checkpointer = DetectionCheckpointer(model, str(tmp_path))
    assert checkpointer.load("") == {}
    assert checkpointer.load(None) == {}
    state = {"0.weight": torch.ones(3, 2), "1.weight": torch.ones(9, 9), "extra": torch.ones(1)}
    torch.save({"model": state, "iteration": 5}, tmp_path / "odd.pth")
    assert checkpointer.load(str(tmp_path / "odd.pth")) == {"iteration": 5}
    assert (model[0].weight == 1).all()
    assert (model[1].weight == before["1.weight"]).all()
    with pytest.raises(FileNotFoundError):
        checkpointer.load(str(tmp_path / "none.pth"))
    periodic = PeriodicCheckpointer(checkpointer, 2, max_iter=5, max_to_keep=1)
    for iteration in range(5):
        periodic.step(iteration)
    assert sorted(p.name for p in tmp_path.glob("model*")) == ["model_0000003.pth", "model_final.pth"]
    assert checkpointer.get_checkpoint_file() == os.path.join(str(tmp_path), "model_final.pth")
    assert DetectionCheckpointer(model, str(tmp_path)).resume_or_load("", resume=True)["iteration"] == 4


def _shapes(tmp_path, name):
    """Register drawn shapes as records with files, the way tutorials register a folder."""
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from PIL import Image

    from lazycfg.data import ShapesDataset

    drawn = ShapesDataset(num_images=4, image_size=64)
    records = []
    for index in range(len(drawn)):
        record = dict(drawn[index])
        path = tmp_path / f"{name}_{index}.png"
        Image.fromarray(record.pop("image")).save(path)
        records.append({**record, "file_name": str(path), "image_id": index})
    DatasetCatalog.register(name, lambda: copy.deepcopy(records))
    MetadataCatalog.get(name).thing_classes = list(drawn.metadata.thing_classes)


def test_a_tutorial_trains_evaluates_and_goes_on(tmp_path):
    from detectron2 import model_zoo
    from detectron2.config import get_cfg
    from detectron2.data import MetadataCatalog, build_detection_test_loader
    from detectron2.engine import DefaultPredictor, DefaultTrainer, HookBase
    from detectron2.evaluation import COCOEvaluator, inference_on_dataset

    for name in ("d2_shapes_train", "d2_shapes_val"):
        _shapes(tmp_path, name)
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"))
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = ("d2_shapes_train",), ("d2_shapes_val",)
    cfg.merge_from_list(
        [
            "MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "DATALOADER.NUM_WORKERS", 0,
            "MODEL.RESNETS.DEPTH", 18,
            "MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.FPN.OUT_CHANNELS", 16,
            "MODEL.ROI_BOX_HEAD.FC_DIM", 32,
            "MODEL.ROI_MASK_HEAD.CONV_DIM", 16, "MODEL.ROI_HEADS.NUM_CLASSES", 4,
            "MODEL.BACKBONE.FREEZE_AT", 0,
            "SOLVER.IMS_PER_BATCH", 2, "SOLVER.BASE_LR", 0.001, "SOLVER.MAX_ITER", 3, "SOLVER.STEPS", [],
            "INPUT.MIN_SIZE_TEST", 64, "MODEL.RPN.POST_NMS_TOPK_TEST", 20, "SOLVER.CHECKPOINT_PERIOD", 2,
            "SOLVER.CLIP_GRADIENTS.ENABLED", True, "OUTPUT_DIR", str(tmp_path / "out"),
        ]
    )  # fmt: skip
    cfg.INPUT.MIN_SIZE_TRAIN = 64  # one number, as tutorials write
    moments = []

    class Counts(HookBase):
        def after_backward(self):
            moments.append(self.trainer.iter)

        def after_step(self):
            self.trainer.storage.put_scalar("own/value", 2.0)

    class Trainer(DefaultTrainer):
        @classmethod
        def build_evaluator(cls, cfg, dataset_name, output_folder=None):
            return COCOEvaluator(dataset_name, cfg, True, output_folder)

        def build_hooks(self):
            found = super().build_hooks()
            found.insert(-1, Counts())
            return found

    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert moments == [0, 1, 2]
    assert {"total_loss", "loss_mask", "own/value", "lr", "bbox/AP"} <= set(trainer.storage.latest())
    out = tmp_path / "out"
    assert {"metrics.json", "model_final.pth", "model_0000001.pth", "last_checkpoint"} <= set(os.listdir(out))
    saved = torch.load(out / "model_final.pth", weights_only=True)
    assert saved["iteration"] == 2
    assert "optimizer" in saved["trainer"]["_trainer"]

    cfg.SOLVER.MAX_ITER = 4
    resumed = Trainer(cfg)
    resumed.resume_or_load(resume=True)
    assert resumed.start_iter == 3
    resumed.train()
    assert moments == [0, 1, 2, 3]

    cfg.MODEL.WEIGHTS = os.path.join(cfg.OUTPUT_DIR, "model_final.pth")
    predictor = DefaultPredictor(cfg)
    loader = build_detection_test_loader(cfg, "d2_shapes_val")
    results = inference_on_dataset(
        predictor.model, loader, COCOEvaluator("d2_shapes_val", output_dir=str(out))
    )
    assert set(results) <= {"bbox", "segm"}
    assert len(MetadataCatalog.get("d2_shapes_val").thing_classes) == 4


def test_records_that_lazycfg_would_refuse_are_told_and_taken(tmp_path, caplog):
    from detectron2.config import get_cfg
    from detectron2.data import DatasetMapper, build_detection_test_loader
    from PIL import Image

    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    records = [{"file_name": str(tmp_path / "a.png"), "height": 6, "width": 8, "image_id": 1}] * 2
    loader = build_detection_test_loader(records, mapper=DatasetMapper(get_cfg(), False))
    assert len(list(loader)) == 2
    assert "image_id" in caplog.text  # no two images are told apart


def test_heads_of_projects_stand_beside_own_models():
    from detectron2.config import get_cfg
    from detectron2.layers import ShapeSpec
    from detectron2.modeling import build_sem_seg_head
    from detectron2.projects.deeplab import add_deeplab_config

    cfg = get_cfg()
    add_deeplab_config(cfg)
    cfg.MODEL.SEM_SEG_HEAD.NAME = "DeepLabV3Head"
    cfg.MODEL.SEM_SEG_HEAD.IN_FEATURES = ["res5"]
    cfg.MODEL.SEM_SEG_HEAD.COMMON_STRIDE = 16
    cfg.MODEL.SEM_SEG_HEAD.NORM = "BN"
    with torch.device("meta"):
        head = build_sem_seg_head(cfg, {"res5": ShapeSpec(channels=16, stride=16)})
    assert type(head).__name__ == "DeepLabV3Head"


@pytest.mark.slow
def test_the_files_of_the_zoo_say_what_our_configs_say():
    from detectron2 import model_zoo
    from detectron2.modeling import build_model

    from lazycfg import instantiate
    from lazycfg import model_zoo as ours
    from lazycfg.compat.detectron2 import zoo_files

    for name in zoo_files.names():
        cfg = model_zoo.get_config(name)
        cfg.MODEL.DEVICE = "meta"
        zoo = ours.get_config(name)
        with torch.device("meta"):
            a, b = build_model(cfg), instantiate(zoo.model)
        assert {k: v.shape for k, v in a.state_dict().items()} == {
            k: v.shape for k, v in b.state_dict().items()
        }
        for (path, x), (_, y) in zip(a.named_modules(), b.named_modules(), strict=True):
            for key, value in vars(x).items():
                if isinstance(value, int | float | str | bool) and not key.startswith("_"):
                    assert value == vars(y)[key], (name, path, key)
        expected = (zoo.optimizer.lr, zoo.train.max_iter, zoo.dataloader.train.total_batch_size)
        assert expected == (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_ITER, cfg.SOLVER.IMS_PER_BATCH), name


def test_an_unknown_file_of_the_zoo_is_told():
    from detectron2 import model_zoo

    with pytest.raises(RuntimeError, match=r"not available in Model Zoo!; did you mean .*R_50_FPN_3x"):
        model_zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_4x.yaml")
    assert model_zoo.get_checkpoint_url("COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml").endswith("280758.pkl")


@pytest.mark.parametrize("start", [0, 3])
def test_a_lazy_loop_follows_the_schedule_of_its_config(start):
    from detectron2.config import LazyCall, instantiate
    from detectron2.engine import HookBase, SimpleTrainer, hooks
    from detectron2.solver import WarmupParamScheduler
    from fvcore.common.param_scheduler import MultiStepParamScheduler

    class Model(torch.nn.Linear):
        def forward(self, batch):
            return {"loss": super().forward(batch).mean()}

    class Rates(HookBase):
        def after_step(self):
            rates.append(self.trainer.storage.latest()["lr"][0])

    rates = []
    lr_multiplier = LazyCall(WarmupParamScheduler)(
        scheduler=LazyCall(MultiStepParamScheduler)(values=[1.0, 0.1], milestones=[4, 6]),
        warmup_length=2 / 6,
        warmup_factor=0.5,
    )
    model = Model(2, 1)
    optimizer = torch.optim.SGD([{"params": model.parameters(), "initial_lr": 0.1}], lr=0.1)
    trainer = SimpleTrainer(model, [torch.ones(2)] * 6, optimizer)
    trainer.register_hooks([hooks.LRScheduler(scheduler=instantiate(lr_multiplier)), Rates()])
    trainer.train(start, 6)
    assert rates == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.01, 0.01][start:])


def test_arguments_are_obeyed_or_refused(tmp_path):
    """Arguments of detectron2's functions that were once passed over."""
    from detectron2.config import get_cfg, upgrade_config
    from detectron2.data import MetadataCatalog, build_batch_data_loader, build_detection_train_loader
    from detectron2.evaluation import RotatedCOCOEvaluator, SemSegEvaluator
    from detectron2.utils.file_io import PathManager
    from detectron2.utils.visualizer import Visualizer

    file = tmp_path / "text.txt"
    file.write_bytes("ä".encode("latin-1"))
    with PathManager.open(str(file), encoding="latin-1") as stream:
        assert stream.read() == "ä"
    with pytest.raises(ValueError, match="force and cache_dir are not taken"):
        PathManager.get_local_path("https://example.org/a.pkl", force=True)
    with pytest.raises(ValueError, match="VERSION 1 are not known"):
        upgrade_config(get_cfg(), to_version=1)

    batches = build_batch_data_loader(list(range(6)), [0, 1, 2, 3, 4, 5], 0, single_gpu_batch_size=3)
    assert next(iter(batches)) == [0, 1, 2]
    with pytest.raises(ValueError, match="not both"):
        build_batch_data_loader(list(range(6)), range(6), 2, single_gpu_batch_size=3)
    with pytest.raises(TypeError, match="sharding"):
        build_batch_data_loader(list(range(6)), range(6), 2, sharding=True)

    given = {"mapper": dict, "total_batch_size": 4, "seed": 5}
    records = [{"image_id": i, "width": 4, "height": 4} for i in range(9)]
    orders = [
        [x["image_id"] for x in next(iter(build_detection_train_loader(records, **given)))] for _ in range(3)
    ]
    assert orders[0] == orders[1] == orders[2]
    with pytest.raises(TypeError, match="takes no drop_last, worker_init_fn for a data set with indices"):
        build_detection_train_loader(records, worker_init_fn=print, drop_last=False, **given)

    MetadataCatalog.get("argued_val").set(stuff_classes=["a", "b"], ignore_label=255, thing_classes=["a"])
    assert RotatedCOCOEvaluator("argued_val", max_dets_per_image=[1, 10, 7]).max_dets_per_image == 10
    with pytest.raises(TypeError, match="max_dets"):
        RotatedCOCOEvaluator("argued_val", max_dets=3)
    with pytest.raises(ValueError, match="sem_seg_loading_fn is not taken"):
        SemSegEvaluator("argued_val", sem_seg_loading_fn=np.asarray)

    image = np.zeros((320, 320, 3), np.uint8)
    sizes = [Visualizer(image, font_size_scale=scale).output.font_size for scale in (1.0, 2.0)]
    assert sizes[1] == 2 * sizes[0]


def test_numbers_of_panoptic_classes_are_those_of_the_file():
    from lazycfg.compat.detectron2.coco import _check_numbers
    from lazycfg.data import Metadata

    mine = Metadata(thing_dataset_id_to_contiguous_id={7: 0, 9: 1})
    _check_numbers(mine, {"thing_dataset_id_to_contiguous_id": {7: 0, 9: 1}}, "a.json")
    with pytest.raises(
        ValueError, match=r"a\.json: category 9 is class 1 by the order of the file and 2 by the"
    ):
        _check_numbers(mine, {"thing_dataset_id_to_contiguous_id": {7: 0, 9: 2}}, "a.json")
