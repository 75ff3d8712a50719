"""The configs of surface embeddings: whole, sound, and as the reference's of the same names are described."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lazycfg import LazyConfig, check, instantiate
from lazycfg.engine.settings import TrainSettings
from lazycfg.projects import densepose

CONFIGS = Path(densepose.__file__).parent / "configs" / "cse"
S1X = [f"R_{d}_FPN{head}{loss}_s1x" for d in (50, 101) for head in ("", "_DL") for loss in ("", "_soft")]
ANIMALS = [
    f"R_50_FPN_soft_{name}"
    for name in (
        "chimps_finetune_4k",
        "animals_finetune_4k",
        "animals_CA_finetune_4k",
        "animals_finetune_16k",
        "animals_CA_finetune_16k",
        "animals_finetune_maskonly_24k",
        "animals_I0_finetune_16k",
        "animals_I0_finetune_m2m_16k",
        "animals_I0_finetune_i2m_16k",
    )
]
ALL = S1X + ANIMALS


def load(name: str) -> Any:
    return LazyConfig.load(CONFIGS / f"densepose_rcnn_{name}.py")


def test_all_of_the_reference_are_there() -> None:
    assert {p.stem for p in CONFIGS.glob("*.py")} == {f"densepose_rcnn_{name}" for name in ALL}
    assert len(ALL) == 17


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTRON2_DATASETS", "/nowhere")
    cfg = load(name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())
    heads = model.roi_heads
    assert heads.embedder.embed_dim == heads.densepose_predictor.embed_lowres.out_channels == 16
    mesh_names = set(heads.embedder.mesh_names)
    assert all(f"_{n}" in x for x in mesh_names for n in [heads.embedder.num_vertices(x)])
    soft = "soft" in name
    loss = heads.densepose_losses.embed_loss
    assert type(loss).__name__ == ("SoftEmbeddingLoss" if soft else "EmbeddingLoss")
    assert loss.embdist_gauss_sigma == (0.1 if name in ANIMALS else 0.01)
    if soft:
        assert loss.geodist_gauss_sigma == loss.embdist_gauss_sigma
        assert set(loss.geodists.meshes) == mesh_names
    classes = range(heads.num_classes)
    assert set(heads.embedder.mesh_names_of(classes)) <= mesh_names
    assert type(heads.densepose_head).__name__ == (
        "DensePoseDeepLabHead" if "_DL" in name else "DensePoseV1ConvXHead"
    )
    # the evaluators measure with the embedder of the model
    evaluators = cfg.dataloader.evaluator
    assert len(evaluators) == (3 if "_I0_" in name else 2)
    assert all(each.embedder is cfg.model.roi_heads.embedder for each in evaluators[1:])
    assert set(evaluators[1].meshes) >= set(heads.embedder.mesh_names_of(classes))
    # the data give what the losses need
    masks = heads.densepose_losses.segm_loss.segm_trained_by_masks
    assert masks == heads.densepose_data_filter.keep_masks == ("animals" in name)
    assert cfg.dataloader.train.mapper.use_instance_mask == masks
    assert {mesh.name for mesh in cfg.dataloader.train.mapper.meshes} >= set(
        heads.embedder.mesh_names_of(classes)
    )


@pytest.mark.parametrize("name", ALL)
def test_training(name: str) -> None:
    cfg = load(name)
    TrainSettings.of({k: v for k, v in cfg.train.items() if k not in ("hooks", "clip_grad")})
    steps, milestones = 130000, (100000, 120000)
    for length, at in ((4000, (3000, 3500)), (16000, (12000, 14000)), (24000, (20000, 22000))):
        if name.endswith(f"_{length // 1000}k"):
            steps, milestones = length, at
    assert cfg.train.max_iter == steps
    rate = instantiate(cfg.lr_multiplier)
    assert rate(0) == pytest.approx(0.1)
    assert rate(1000 / steps) == 1
    for milestone, before, after in zip(milestones, (1, 0.1), (0.1, 0.01), strict=True):
        assert rate((milestone - 1) / steps) == pytest.approx(before)
        assert rate(milestone / steps) == pytest.approx(after)
    assert cfg.optimizer.lr == 0.01
    assert cfg.dataloader.train.total_batch_size == 16
    assert instantiate(cfg.train.clip_grad).max_norm == 1.0
    depth = {50: "R-50.pkl", 101: "R-101.pkl"}[cfg.model.backbone.bottom_up.stages.depth]
    assert cfg.train.init_checkpoint.endswith(depth) == (name in S1X)


def test_what_the_animals_differ_in() -> None:
    by_name = {name: load(f"R_50_FPN_soft_{name}") for name in (x.partition("soft_")[2] for x in ANIMALS)}
    classes = {name: cfg.model.roi_heads.num_classes for name, cfg in by_name.items()}
    assert {name for name, n in classes.items() if n == 1} == {
        "chimps_finetune_4k",
        "animals_CA_finetune_4k",
        "animals_CA_finetune_16k",
    }
    assert set(classes.values()) == {1, 9}
    names = {name: cfg.dataloader.train.dataset.dataset.name for name, cfg in by_name.items()}
    assert names.pop("chimps_finetune_4k") == "densepose_chimps_cse_train"
    assert {n for n, data in names.items() if "_ds1_train" in data} == {
        "animals_finetune_4k",
        "animals_CA_finetune_4k",
    }
    losses = {name: cfg.model.roi_heads.densepose_losses for name, cfg in by_name.items()}
    assert {name for name, x in losses.items() if x.shape2shape_loss} == {"animals_I0_finetune_m2m_16k"}
    assert {name for name, x in losses.items() if x.pix2shape_loss} == {"animals_I0_finetune_i2m_16k"}
    assert {name for name, x in losses.items() if x.w_embed == 0} == {"animals_finetune_maskonly_24k"}
    m2m = by_name["animals_I0_finetune_m2m_16k"].model.roi_heads
    assert "smpl_27554" in m2m.embedder.embedders
    assert set(m2m.densepose_losses.shape2shape_loss.meshes) == set(m2m.embedder.embedders)
    agnostic = by_name["animals_CA_finetune_4k"].dataloader.train.dataset.dataset
    assert set(agnostic.category_map.values()) == {943}
    assert sorted(agnostic.category_ids) == [76, 80, 225, 378, 422, 496, 569, 943, 1202]


def test_embeddings_with_a_rate_of_their_own() -> None:
    cfg = load("R_50_FPN_s1x")
    LazyConfig.apply_overrides(cfg, ["optimizer.params.overrides={embeddings: {lr: 0.02}}"])
    with torch.device("meta"):
        model = instantiate(cfg.model)
    cfg.optimizer.params.model = model
    groups = instantiate(cfg.optimizer).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name, lr in named.items() if lr == 0.02} == {
        "roi_heads.embedder.embedder_smpl_27554.embeddings"
    }
    assert set(named.values()) == {0.01, 0.02}


def test_the_size_of_embeddings_is_said_once() -> None:
    cfg = load("R_50_FPN_s1x")
    cfg.model.roi_heads.densepose_predictor.embed_size = 5
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert model.roi_heads.embedder.embed_dim == 5


@pytest.mark.parametrize("name", ["animals_finetune_4k", "animals_I0_finetune_16k", "animals_CA_finetune_4k"])
def test_classes_of_animals_have_their_meshes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classes of a file in LVIS's format, in the order of its ids, against the meshes of the model."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    cfg = load(f"R_50_FPN_soft_{name}")
    dataset = cfg.dataloader.train.dataset
    ids = {"zebra": 1202, "sheep": 943, "horse": 569, "giraffe": 496, "elephant": 422, "dog": 378}
    ids |= {"cat": 225, "cow": 80, "bear": 76, "banana": 45}
    meshes = cfg.model.roi_heads.embedder.class_to_mesh_name
    images, annotations = [], []
    for number, (animal, category) in enumerate(ids.items(), start=1):
        url = f"http://images.cocodataset.org/train2017/{number:012d}.jpg"
        images.append({"id": number, "width": 64, "height": 48, "coco_url": url})
        images[-1] |= {"neg_category_ids": [45], "not_exhaustive_category_ids": []}
        mesh = next((m for m in meshes.values() if m.startswith(animal)), "sheep_5004")
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": category,
                "bbox": [4.0, 4.0, 30.0, 30.0],
                "area": 900.0,
                "segmentation": [[4.0, 4.0, 34.0, 4.0, 34.0, 34.0, 4.0, 34.0]],
                "dp_x": [10.0],
                "dp_y": [20.0],
                "dp_vertex": [7],
                "ref_model": mesh,
            }
        )
    categories = [
        {
            "id": n,
            "name": animal,
            "synonyms": [animal],
            "def": "",
            "synset": f"{animal}.n.01",
            "frequency": "f",
        }
        for animal, n in ids.items()
    ]
    path = Path(dataset.dataset.json_file)
    path.parent.mkdir()
    folder = tmp_path / "coco_train2017"
    folder.mkdir()
    for image in images:
        (folder / image["coco_url"].rpartition("/")[2]).touch()
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    built = instantiate(dataset)
    names = built.metadata.thing_classes
    assert len(built) == 9  # without the banana
    assert len(names) == cfg.model.roi_heads.num_classes
    assert "coco_train2017" in built[0]["file_name"]
    if len(names) == 9:
        assert [meshes[i].partition("_")[0] for i in range(9)] == list(names)
        for record in (built[i] for i in range(9)):
            (annotation,) = record["annotations"]
            assert annotation["ref_model"] == meshes[annotation["category_id"]]
