"""Habits of programs that are built on detectron2: added defaults, own handlers, own checkpointers, files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image


def test_defaults_take_the_keys_of_a_program():
    from detectron2.config import CfgNode, defaults, get_cfg
    from detectron2.config.defaults import _C

    _C.MODEL.D2_HABIT = CfgNode({"WIDTH": 3})
    try:
        assert defaults._C is _C
        cfg = get_cfg()
        cfg.MODEL.D2_HABIT.WIDTH = 4
        assert get_cfg().MODEL.D2_HABIT.WIDTH == 3
        assert _C.clone().MODEL.D2_HABIT.WIDTH == 3
    finally:
        del _C.MODEL["D2_HABIT"]
    assert "D2_HABIT" not in get_cfg().MODEL


def test_registering_twice_is_an_assertion_error():
    from detectron2.utils.registry import Registry

    registry = Registry("HABITS")
    registry.register(dict)
    with pytest.raises(AssertionError, match="'dict' is already registered in 'HABITS'"):
        registry.register(dict)


@pytest.mark.parametrize(
    ("key", "name", "registry", "hint"),
    [
        ("MODEL.ROI_HEADS.NAME", "StandardROIHead", "ROI_HEADS", "; did you mean 'StandardROIHeads'"),
        ("MODEL.BACKBONE.NAME", "my_backbone", "BACKBONE", ""),
        ("MODEL.META_ARCHITECTURE", "MyModel", "META_ARCH", ""),
    ],
)
def test_a_name_that_nobody_registered_is_told_as_such(key, name, registry, hint):
    """A program cannot follow what `lazycfg convert` advises."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", key, name])
    with pytest.raises(KeyError) as error:
        build_model(cfg)
    message = error.value.args[0]
    assert message.startswith(f"no object named {name!r} in the registry {registry!r}{hint}")
    assert message.endswith("the module that registers it has to be imported first")
    assert "convert" not in message


def test_a_box_head_of_a_program_reads_and_sets_the_size_of_its_output():
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.roi_heads import FastRCNNConvFCHead

    class Gated(FastRCNNConvFCHead):
        def __init__(self, input_shape, *, width, **kwargs):
            super().__init__(input_shape, **kwargs)
            self.gate = torch.nn.Linear(self._output_size, width)  # the last layer: the head is a Sequential
            self._output_size = width

    shape = ShapeSpec(channels=4, height=3, width=5)
    head = Gated(shape, width=6, conv_dims=[], fc_dims=[8])
    assert head(torch.zeros(2, 4, 3, 5)).shape == (2, 6)
    assert head.output_shape.channels == 6
    convolutions = FastRCNNConvFCHead(shape, conv_dims=[7], fc_dims=[])
    assert convolutions._output_size == (7, 3, 5)
    convolutions._output_size = (9, 3, 5)
    assert convolutions.output_shape.channels == 9


def test_mixed_precision_cannot_be_switched_on_by_a_resume():
    from detectron2.engine import AMPTrainer, SimpleTrainer

    model = torch.nn.Linear(2, 2)
    trainers = [
        kind(model, [torch.zeros(1, 2)], torch.optim.SGD(model.parameters(), lr=0.1))
        for kind in (SimpleTrainer, AMPTrainer)
    ]
    without = {**trainers[0].state_dict(), "iteration": 3}
    with pytest.raises(ValueError, match="is of a run without mixed precision"):
        trainers[1].load_state_dict(without)
    assert trainers[1].iter == 0  # nothing of it is restored


def test_iopath_gives_the_class_and_handlers_get_buffering_by_name(tmp_path):
    from detectron2.utils.file_io import PathManager
    from iopath.common.file_io import PathHandler, g_pathmgr
    from iopath.common.file_io import PathManager as PathManagerBase

    class Handler(PathHandler):
        def _get_supported_prefixes(self):
            return ["habit://"]

        def _get_local_path(self, path, **kwargs):
            return str(tmp_path / path.removeprefix("habit://"))

        def _open(self, path, mode="r", **kwargs):
            return PathManager.open(self._get_local_path(path), mode, **kwargs)

    (tmp_path / "a.txt").write_text("hello")
    own = PathManagerBase()
    own.register_handler(Handler())
    with own.open("habit://a.txt") as file:
        assert file.read() == "hello"
    assert g_pathmgr is PathManager
    assert isinstance(PathManager, PathManagerBase)


def test_a_checkpointer_of_a_program_sees_weights_and_what_did_not_fit(tmp_path):
    from detectron2.checkpoint import DetectionCheckpointer

    seen = {}

    class Renaming(DetectionCheckpointer):
        def _load_file(self, filename):
            content = super()._load_file(filename)
            content["model"] = {key.replace("old.", ""): value for key, value in content["model"].items()}
            return content

        def _load_model(self, checkpoint):
            seen["keys"] = sorted(checkpoint["model"])
            seen["result"] = super()._load_model(checkpoint)
            return seen["result"]

    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    state = {"old.0.weight": torch.ones(3, 2), "old.0.bias": torch.ones(3), "old.1.weight": torch.ones(9, 9)}
    arrays = {key: value.numpy() for key, value in state.items()}
    torch.save({"model": state, "iteration": 5}, tmp_path / "a.pth")
    torch.save({"model": arrays, "__author__": "me"}, tmp_path / "b.pkl")  # what a file is, not its name
    import pickle

    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "me"}))
    for name, rest in (("a.pth", {"iteration": 5}), ("b.pkl", {}), ("c.pkl", {})):
        torch.nn.init.zeros_(model[0].weight)
        assert Renaming(model).load(str(tmp_path / name)) == rest
        assert (model[0].weight == 1).all()
        assert seen["keys"] == ["0.bias", "0.weight", "1.weight"]
        assert seen["result"].missing_keys == ["1.bias"]
        assert seen["result"].unexpected_keys == []
        assert seen["result"].incorrect_shapes == [("1.weight", (9, 9), (4, 3))]
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"model": arrays, "f": print}))
    with pytest.raises(Exception, match=r"evil\.pkl is not a file of weights"):
        DetectionCheckpointer(model).load(str(tmp_path / "evil.pkl"))


def test_classes_keep_the_ids_of_a_file_that_is_read_without_a_name(tmp_path):
    from detectron2.data import MetadataCatalog
    from detectron2.data.datasets import load_coco_json

    annotation = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "y"}, {"id": 7, "name": "x"}],
        "annotations": [annotation],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (record,) = load_coco_json(str(tmp_path / "a.json"), "images")
    assert record["annotations"][0]["category_id"] == 7
    (record,) = load_coco_json(str(tmp_path / "a.json"), "images", "d2_habit_ids")
    assert record["annotations"][0]["category_id"] == 1
    assert MetadataCatalog.get("d2_habit_ids").thing_classes == ["y", "x"]
    MetadataCatalog.get("d2_habit_order").thing_classes = ["x", "y"]  # not the order of the ids
    with pytest.raises(AssertionError, match=r"are \['y', 'x'\], but the metadata of 'd2_habit_order' say"):
        load_coco_json(str(tmp_path / "a.json"), "images", "d2_habit_order")


def _detection(size, box, number, mask=None):
    from detectron2.structures import Boxes, Instances

    found = Instances(size)
    found.pred_boxes = Boxes(torch.tensor([box], dtype=torch.float32))
    found.scores, found.pred_classes = torch.tensor([0.9]), torch.tensor([number])
    if mask is not None:
        found.pred_masks = torch.from_numpy(mask)[None]
    return {"instances": found}


def test_voc_is_read_and_scored_by_name(tmp_path):
    from detectron2.data import DatasetCatalog
    from detectron2.data.datasets import register_pascal_voc
    from detectron2.evaluation import PascalVOCDetectionEvaluator
    from detectron2.structures import BoxMode

    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(tmp_path / "JPEGImages/000001.jpg")
    (tmp_path / "ImageSets/Main/test.txt").write_text("000001\n")
    (tmp_path / "Annotations/000001.xml").write_text(
        "<annotation><filename>000001.jpg</filename><size><width>64</width><height>48</height></size><object>"
        "<name>cat</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax>"
        "<ymax>40</ymax></bndbox></object></annotation>"
    )
    register_pascal_voc("d2_habit_voc", str(tmp_path), "test", 2012, ["dog", "cat"])
    (record,) = DatasetCatalog.get("d2_habit_voc")
    (annotation,) = record["annotations"]
    assert (annotation["bbox_mode"], list(annotation["bbox"])) == (BoxMode.XYXY_ABS, [10, 20, 30, 40])
    evaluator = PascalVOCDetectionEvaluator("d2_habit_voc")
    evaluator.reset()
    evaluator.process([{"image_id": "000001"}], [_detection((48, 64), [10, 20, 30, 40], 1)])
    assert evaluator.evaluate()["bbox"] == {"AP": 100.0, "AP50": 100.0, "AP75": 100.0}


@pytest.fixture
def cityscapes(tmp_path):
    """One image of a road with a car, with everything that Cityscapes' scripts make."""
    from detectron2.data import DatasetCatalog, MetadataCatalog

    name, root = "x_000000_000000", tmp_path / "cityscapes"
    images, truth = root / "leftImg8bit/val/x", root / "gtFine/val/x"
    panoptic = root / "gtFine/cityscapes_panoptic_val"
    for folder in (images, truth, panoptic):
        folder.mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(images / f"{name}_leftImg8bit.png")
    ids = np.full((48, 64), 7, np.uint16)
    ids[10:30, 10:30] = 26000
    Image.fromarray(ids).save(truth / f"{name}_gtFine_instanceIds.png")
    Image.fromarray(np.where(ids > 999, 26, ids).astype(np.uint8)).save(truth / f"{name}_gtFine_labelIds.png")
    Image.fromarray(np.stack([ids % 256, ids // 256, ids * 0], -1).astype(np.uint8)).save(
        panoptic / f"{name}_gtFine_panoptic.png"
    )
    segments = [
        {"id": 7, "category_id": 7, "area": 64 * 48 - 400, "bbox": [0, 0, 64, 48], "iscrowd": 0},
        {"id": 26000, "category_id": 26, "area": 400, "bbox": [10, 10, 20, 20], "iscrowd": 0},
    ]
    categories = [
        {"id": 7, "name": "road", "isthing": 0, "color": [128, 64, 128]},
        {"id": 26, "name": "car", "isthing": 1, "color": [0, 0, 142]},
    ]
    annotation = {"image_id": name, "file_name": f"{name}_gtFine_panoptic.png", "segments_info": segments}
    (root / "gtFine/cityscapes_panoptic_val.json").write_text(
        json.dumps(
            {
                "images": [
                    {"id": name, "file_name": f"{name}_gtFine_leftImg8bit.png", "width": 64, "height": 48}
                ],
                "categories": categories,
                "annotations": [annotation],
            }
        )
    )
    kept = {catalog: dict(catalog.data) for catalog in (DatasetCatalog, MetadataCatalog)}
    yield tmp_path
    for catalog, content in kept.items():
        catalog.data.clear()
        catalog.data.update(content)


def test_cityscapes_is_read_and_scored_by_its_names(cityscapes):
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets.builtin import register_all_cityscapes
    from detectron2.data.datasets.cityscapes_panoptic import register_all_cityscapes_panoptic
    from detectron2.evaluation import (
        CityscapesInstanceEvaluator,
        CityscapesSemSegEvaluator,
        COCOPanopticEvaluator,
    )

    with pytest.raises(AssertionError, match="already registered"):
        register_all_cityscapes(str(cityscapes))
    assert "cityscapes_fine_panoptic_train" in DatasetCatalog.list()
    MetadataCatalog.clear()
    DatasetCatalog.clear()
    register_all_cityscapes(str(cityscapes))
    register_all_cityscapes_panoptic(str(cityscapes))
    mask = np.zeros((48, 64), bool)
    mask[10:30, 10:30] = True
    scores = torch.zeros(19, 48, 64)
    scores[0], scores[13, mask] = 1.0, 2.0
    segments = torch.full((48, 64), 1, dtype=torch.int32)
    segments[torch.from_numpy(mask)] = 2
    info = [
        {"id": 1, "category_id": 0, "isthing": False},
        {"id": 2, "category_id": 13, "isthing": True},
    ]
    instance = _detection((48, 64), [10, 10, 30, 30], 2, mask)
    for name, makers in {
        "instance_seg": [CityscapesInstanceEvaluator],
        "sem_seg": [CityscapesSemSegEvaluator],
        "panoptic": [CityscapesInstanceEvaluator, CityscapesSemSegEvaluator, COCOPanopticEvaluator],
    }.items():
        name = f"cityscapes_fine_{name}_val"
        (record,) = DatasetCatalog.get(name)
        for maker in makers:
            evaluator = maker(name)
            evaluator.reset()
            output = {**instance, "sem_seg": scores, "panoptic_seg": (segments, info)}
            evaluator.process([record], [output])
            (results,) = evaluator.evaluate().values()
            values = [value for key, value in results.items() if key in ("AP", "IoU", "PQ", "SQ", "iIoU")]
            assert values
            assert values == pytest.approx([100.0] * len(values)), (name, maker)
    meta = MetadataCatalog.get("cityscapes_fine_panoptic_val")
    assert (meta.evaluator_type, meta.label_divisor) == ("cityscapes_panoptic_seg", 1000)
    assert meta.thing_dataset_id_to_contiguous_id[26] == 13


def test_detections_read_from_a_file_are_drawn():
    """As detectron2's tools do it: fields are arrays, masks run lengths."""
    from detectron2.structures import Boxes, Instances
    from detectron2.utils.video_visualizer import VideoVisualizer
    from detectron2.utils.visualizer import Visualizer

    from lazycfg.structures.rle import encode_mask

    image, mask = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), bool)
    mask[10:50, 20:60] = True
    drawn = []
    for masks in ([encode_mask(mask)], torch.from_numpy(mask[None])):
        found = Instances((60, 80))
        found.scores, found.pred_classes = np.array([0.9]), np.array([1])
        found.pred_boxes, found.pred_masks = Boxes(np.array([[20, 10, 60, 50]])), masks
        drawn.append(Visualizer(image, None).draw_instance_predictions(found).get_image())
        assert VideoVisualizer(None).draw_instance_predictions(image, found).get_image().any()
    assert drawn[0].any()
    assert (drawn[0] == drawn[1]).all()


def test_regions_of_res5_are_pooled_from_a_list_of_maps():
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.matcher import Matcher
    from detectron2.modeling.poolers import ROIPooler
    from detectron2.modeling.roi_heads import FastRCNNOutputLayers, Res5ROIHeads
    from detectron2.structures import Boxes

    class Heads(Res5ROIHeads):
        def forward(self, images, features, proposals, targets=None):
            return self._shared_roi_transform([features[name] for name in self.in_features], proposals)

    heads = Heads(
        in_features=["res4"],
        pooler=ROIPooler(14, [1 / 16], 0, "ROIAlignV2"),
        res5=torch.nn.AvgPool2d(2),
        box_predictor=FastRCNNOutputLayers(
            ShapeSpec(channels=4), box2box_transform=Box2BoxTransform((10, 10, 5, 5)), num_classes=2
        ),
        num_classes=2,
        batch_size_per_image=8,
        positive_fraction=0.25,
        proposal_matcher=Matcher([0.5], [0, 1]),
    )
    features = {"res4": torch.rand(1, 4, 8, 8)}
    boxes = [Boxes(torch.tensor([[0.0, 0.0, 64.0, 64.0], [16.0, 16.0, 80.0, 90.0]]))]
    regions = heads(None, features, boxes)
    assert regions.shape == (2, 4, 7, 7)
    assert torch.equal(regions, heads._shared_roi_transform(features, boxes))


def test_segments_are_given_one_by_one():
    from detectron2.utils.visualizer import _PanopticPrediction, random_color

    segments = torch.tensor([[0, 1, 1, 1], [2, 2, 3, 3]])
    info = [
        {"id": 1, "isthing": True, "category_id": 4},
        {"id": 2, "isthing": False, "category_id": 5},
        {"id": 3, "isthing": True, "category_id": 6},
    ]
    prediction = _PanopticPrediction(segments, info)
    assert prediction.non_empty_mask().tolist() == [[False, True, True, True], [True] * 4]
    things = [
        (mask.tolist(), info["category_id"], info["area"]) for mask, info in prediction.instance_masks()
    ]
    assert things == [((segments == 1).tolist(), 4, 3.0), ((segments == 3).tolist(), 6, 2.0)]
    ((mask, found),) = prediction.semantic_masks()
    assert (mask.tolist(), found["category_id"]) == ((segments == 2).tolist(), 5)
    assert random_color(rgb=True).shape == (3,)


def test_test_time_augmentation_reads_images_and_needs_no_call_of_eval(tmp_path):
    from detectron2 import model_zoo
    from detectron2.config import get_cfg
    from detectron2.modeling import GeneralizedRCNNWithTTA, build_model

    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml"))
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.NORM", "BN"])
    cfg.merge_from_list(["MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "TEST.AUG.MIN_SIZES", "(32,)"])
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    model = GeneralizedRCNNWithTTA(cfg, build_model(cfg).eval())
    read = model([{"file_name": str(tmp_path / "a.png")}])[0]["instances"]
    image = torch.from_numpy(pixels[:, :, ::-1].copy()).permute(2, 0, 1)  # BGR
    given = model([{"image": image, "height": 40, "width": 50}])[0]["instances"]
    assert read.image_size == (40, 50)
    assert torch.equal(read.pred_boxes.tensor, given.pred_boxes.tensor)


def test_a_visualizer_of_a_program_draws_by_the_methods_of_the_reference():
    from detectron2.data import MetadataCatalog
    from detectron2.structures import Boxes, Instances
    from detectron2.utils.visualizer import ColorMode, GenericMask, Visualizer, _create_text_labels

    class Own(Visualizer):
        def draw_instance_predictions(self, predictions):
            classes, scores = predictions.pred_classes.tolist(), predictions.scores
            labels = _create_text_labels(classes, scores, self.metadata.get("thing_classes", None))
            masks = np.asarray(predictions.pred_masks)
            masks = [GenericMask(mask, self.output.height, self.output.width) for mask in masks]
            assert self._convert_masks(masks) == masks
            assert self.metadata.motto == "mine"
            assert self.metadata.get("stuff_classes", 3) == 3
            colors = [self._jitter([value / 255 for value in self.metadata.thing_colors[c]]) for c in classes]
            if self._instance_mode == ColorMode.IMAGE_BW:
                keep = predictions.pred_masks.any(dim=0).numpy()
                self.output.reset_image(self._create_grayscale_image(keep))
            boxes = self._convert_boxes(predictions.pred_boxes)
            self.overlay_instances(
                masks=masks, boxes=boxes, labels=labels, keypoints=None, assigned_colors=colors, alpha=0.3
            )
            self._draw_text_in_mask(masks[0].mask, "here", self._change_color_brightness((0.2, 0, 0), 0.7))
            return self.output

    MetadataCatalog.get("d2_habit_drawn").set(
        thing_classes=["a", "b"], thing_colors=[(255, 0, 0), (0, 0, 255)], motto="mine"
    )
    image, mask = np.full((60, 80, 3), (200, 100, 0), np.uint8), torch.zeros(1, 60, 80, dtype=torch.bool)
    mask[0, 10:50, 20:60] = True
    found = Instances((60, 80))
    found.scores, found.pred_classes = torch.tensor([0.9]), torch.tensor([1])
    found.pred_boxes, found.pred_masks = Boxes(torch.tensor([[20.0, 10.0, 60.0, 50.0]])), mask
    metadata = MetadataCatalog.get("d2_habit_drawn")
    drawn = Own(image, metadata, instance_mode=ColorMode.IMAGE_BW).draw_instance_predictions(found)
    assert (drawn.get_image()[55, 75] == 100).all()  # grey outside of the mask
    assert (drawn.get_image()[30, 30] != 100).any()
    lighter = Own(image, metadata)._change_color_brightness((0.2, 0.0, 0.0), 0.5)
    assert lighter == pytest.approx((0.3, 0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("base", "name", "more"),
    [
        ("Base-RCNN-FPN", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", "MODEL.MASK_ON True"),
        ("Base-RetinaNet", "COCO-Detection/retinanet_R_50_FPN_1x", ""),
        ("COCO-Keypoints/Base-Keypoint-RCNN-FPN", "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x", ""),
    ],
)
def test_files_of_the_zoo_extend_its_bases(tmp_path, base, name, more):
    from detectron2 import model_zoo
    from detectron2.config import get_cfg

    file = tmp_path / "mine.yaml"
    file.write_text(
        f"_BASE_: {model_zoo.get_config_file(base + '.yaml')}\nMODEL: {{RESNETS: {{DEPTH: 50}}}}\n"
    )
    mine, zoo = get_cfg(), get_cfg()
    mine.merge_from_file(str(file))
    mine.merge_from_list(["MODEL.WEIGHTS", "detectron2://ImageNetPretrained/MSRA/R-50.pkl", *more.split()])
    zoo.merge_from_file(model_zoo.get_config_file(f"{name}.yaml"))
    assert mine.dump() == zoo.dump()


def test_the_optimizer_of_a_config_is_sgd_whatever_keys_a_program_has():
    from detectron2.config import get_cfg
    from detectron2.solver import build_optimizer

    cfg = get_cfg()
    cfg.SOLVER.OPTIMIZER = "MY_ADAM"  # read by the program's own build_optimizer, if at all
    assert type(build_optimizer(cfg, torch.nn.Linear(2, 2))) is torch.optim.SGD
    cfg.SOLVER.OPTIMIZER, cfg.MODEL.META_ARCHITECTURE = "ADAMW", "PanopticDeepLab"
    assert type(build_optimizer(cfg, torch.nn.Linear(2, 2))) is torch.optim.SGD


def test_a_mapper_with_annotations_of_its_own_keeps_the_proposals(tmp_path):
    import detectron2.data.transforms as T
    from detectron2.data import DatasetMapper
    from detectron2.structures import BoxMode

    class Mapper(DatasetMapper):
        def _transform_annotations(self, dataset_dict, transforms, image_shape):
            super()._transform_annotations(dataset_dict, transforms, image_shape)

    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    record = {
        "file_name": str(tmp_path / "a.png"),
        "annotations": [{"bbox": [1, 1, 9, 9], "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}],
        "proposal_boxes": np.array([[2.0, 2, 10, 10], [0, 0, 30, 20]]),
        "proposal_bbox_mode": BoxMode.XYXY_ABS,
        "proposal_objectness_logits": np.array([2.0, 1.0]),
    }
    for kind in (Mapper, DatasetMapper):
        mapper = kind(
            True, augmentations=[T.Resize((40, 60))], image_format="BGR", precomputed_proposal_topk=1
        )
        mapped = mapper(record)
        assert mapped["proposals"].proposal_boxes.tensor.tolist() == [[4, 4, 20, 20]]
        assert mapped["instances"].gt_boxes.tensor.tolist() == [[2, 2, 18, 18]]
