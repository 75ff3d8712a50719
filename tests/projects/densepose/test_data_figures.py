"""The generated figures, their files, and the commands and small models that use them."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lazycfg import LazyConfig, check, instantiate
from lazycfg.data import check_dataset
from lazycfg.projects import densepose
from lazycfg.projects.densepose.apply_net import describe_instances, load_dump, main
from lazycfg.projects.densepose.cse import Mesh, PublishedMesh
from lazycfg.projects.densepose.figures.body import SEGMENTS, build_surface
from lazycfg.projects.densepose.make_figures import main as make
from lazycfg.projects.densepose.make_figures import make_figures
from lazycfg.projects.densepose.structures import (
    DensePoseChartPredictorOutput,
    DensePoseTransformData,
    chart_results,
    quantize_chart_result,
)
from lazycfg.structures import Boxes, Instances

FOLDER = densepose.__path__[0]
CONFIGS = ("quickstart_densepose_figures", "quickstart_densepose_cse_figures")


def config(name, datasets_root, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(datasets_root))
    return LazyConfig.load(f"{FOLDER}/configs/{name}.py")


def test_surface():
    surface = build_surface()
    assert sorted(set(surface.part.tolist())) == list(range(1, 25))
    assert len(surface.vertices) == 530
    assert np.isfinite(surface.distances).all()  # all segments hang together
    np.testing.assert_allclose(surface.distances, surface.distances.T)
    assert (surface.mirror[surface.mirror] == np.arange(530)).all()
    assert 1.5 < surface.distances.max() < 4
    assert {s.front for s in SEGMENTS} | {s.back for s in SEGMENTS} == set(range(1, 25))
    # Paths are not shorter than straight lines
    straight = np.linalg.norm(surface.vertices[:, None] - surface.vertices, axis=2)
    assert (surface.distances >= straight - 1e-6).all()


def test_files_are_as_the_published_ones(figures):
    surface, mesh = build_surface(), PublishedMesh(name="figure", root=figures / "meshes")
    np.testing.assert_allclose(mesh.read_vertices(), surface.vertices, rtol=1e-6)
    np.testing.assert_allclose(mesh.read_geodists(), surface.distances, rtol=1e-6)
    assert mesh.read_symmetry().tolist() == surface.mirror.tolist()
    assert mesh.read_texcoords().shape == (530, 2)
    tables = DensePoseTransformData.load(figures / "UV_symmetry_transforms.mat").uv_symmetries
    assert tables["U_transforms"][5, 10, 200] == pytest.approx(1 - 200 / 255)
    assert tables["V_transforms"][5, 10, 200] == pytest.approx(10 / 255)


def test_the_same_numbers_make_the_same_files(tmp_path, figures):
    make_figures(tmp_path, train=1, test=6, side=96, points=60)
    for name in ("figures_test.json", "img/test_00003.png"):
        assert (tmp_path / name).read_bytes() == (figures / name).read_bytes()
    other = make_figures(tmp_path, train=1, test=1, side=96, seed=1)
    assert other[1].read_bytes() != (figures / "figures_test.json").read_bytes()


def test_annotations_say_what_is_seen(figures):
    data = json.loads((figures / "figures_train.json").read_text())
    annotated = [a for a in data["annotations"] if "dp_x" in a]
    assert len(annotated) >= 5
    surface = build_surface()
    for a in annotated:
        assert 20 < len(a["dp_x"]) <= 60
        parts, vertices = np.array(a["dp_I"]).astype(int), np.array(a["dp_vertex"])
        for part, vertex in zip(parts, vertices, strict=True):
            assert part in surface.part[surface.index == vertex]


@pytest.mark.parametrize("name", CONFIGS)
def test_configs(name, datasets_root, monkeypatch):
    cfg = config(name, datasets_root, monkeypatch)
    check(cfg)
    parts = instantiate(cfg.dataloader)
    check_dataset(parts["train"].dataset.dataset)
    with torch.device("meta"):
        instantiate(cfg.model)


@pytest.fixture(scope="module")
def trained(datasets_root, tmp_path_factory):
    """Files of weights of small models that know nothing."""
    made, monkeypatch = {}, pytest.MonkeyPatch()
    torch.manual_seed(0)
    for name in CONFIGS:
        model = instantiate(config(name, datasets_root, monkeypatch).model)
        made[name] = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
        save_file(model.state_dict(), made[name])
    monkeypatch.undo()
    return made


def command(action, name, trained, *more):
    few = [
        "model.roi_heads.box_predictor.test_topk_per_image=2",
        "model.roi_heads.box_predictor.test_score_thresh=0",
    ]
    return main(
        [action, *more[1:], "--config", f"{FOLDER}/configs/{name}.py", "--weights", str(trained[name]),
         "--score", "0", "--output", str(more[0]), "--set", *few]
    )  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_show_and_dump(name, trained, figures, datasets_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(datasets_root))
    pattern = str(figures / "img" / "test_0000[12].png")
    more = [] if "cse" not in name else ["--mesh", f"figure={figures / 'meshes' / 'figure.pkl'}"]
    assert command("show", name, trained, tmp_path / "shown", pattern, *more) == 0
    assert sorted(p.name for p in (tmp_path / "shown").iterdir()) == ["test_00001.png", "test_00002.png"]
    with Image.open(tmp_path / "shown" / "test_00001.png") as drawn:
        assert drawn.size == (480, 480)
        pixels = np.asarray(drawn)
    assert 0 < (pixels[..., 0] != pixels[..., 1]).mean() < 1  # on grey
    assert command("dump", name, trained, tmp_path / "results.json", pattern, "--nms", "0.9") == 0
    first, second = load_dump(tmp_path / "results.json")
    assert first["file_name"].endswith("test_00001.png")
    assert first["image_size"] == (96, 96)
    count = len(second["scores"])
    assert 1 <= count == len(second["pred_densepose"]) == len(second["pred_boxes_XYXY"])
    width, height = (
        (second["pred_boxes_XYXY"][0, 2:] - second["pred_boxes_XYXY"][0, :2]).long().clamp(min=1).tolist()
    )
    seen = second["pred_densepose"][0]
    if "cse" in name:
        assert seen["mesh_name"] == "figure"
        assert seen["vertices"].shape == (height, width)
        assert seen["vertices"].max() < 530
        assert seen["vertices"].min() >= -1
    else:
        assert seen.labels_uv_uint8.shape == (3, height, width)
    assert capsys.readouterr().out.splitlines() == [
        *(str(tmp_path / "shown" / f"test_0000{k}.png") for k in (1, 2)),
        str(tmp_path / "results.json"),
    ]


def test_wrong_commands(trained, figures, datasets_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(datasets_root))
    name = CONFIGS[0]
    image = str(figures / "img" / "test_00001.png")
    for more, said in (
        (
            [tmp_path / "x", str(tmp_path / "none*.png")],
            "no image .*none.*: give a file, a folder of images or a pattern",
        ),
        ([tmp_path / "x", image, "--draw", "dp_vertex"], '"dp_vertex" is for embeddings'),
        ([tmp_path / "x", image, image], "would both be drawn as"),
        ([tmp_path / "x", image, "--mesh", "figure"], "give the name of a mesh and its file"),
    ):
        assert command("show", name, trained, *more) == 2
        assert re.search(said, capsys.readouterr().err)
    with pytest.raises(SystemExit):
        command("show", name, trained, tmp_path / "x", image, "--draw", "dp_segm,dp_w")
    assert "--draw: 'dp_w' is none of dp_segm, dp_u" in capsys.readouterr().err
    (tmp_path / "x.json").write_text('[{"scores": [1]}]')
    with pytest.raises(ValueError, match=r"x\.json is no file that `apply_net dump` wrote"):
        load_dump(tmp_path / "x.json")


def test_dumped_charts_are_the_results():
    maps = {
        name: torch.randn(1, n, 8, 8)
        for name, n in {"coarse_segm": 2, "fine_segm": 25, "u": 25, "v": 25}.items()
    }
    output, boxes = DensePoseChartPredictorOutput(**maps), torch.tensor([[1.0, 2, 12, 20]])
    found = Instances(
        (30, 30), pred_boxes=Boxes(boxes), scores=torch.ones(1), pred_classes=torch.zeros(1).long()
    )
    found.pred_densepose = output
    (entry,) = describe_instances(found)["pred_densepose"]
    from lazycfg.projects.densepose.structures import DensePoseChartResultCompressed, decompress_chart_result

    small = decompress_chart_result(DensePoseChartResultCompressed(**entry))
    assert torch.equal(
        small.labels_uv_uint8, quantize_chart_result(chart_results(output, boxes)[0]).labels_uv_uint8
    )


def test_maker_as_a_command(tmp_path, capsys):
    assert make(["--output", str(tmp_path / "f"), "--train", "2", "--test", "1", "--side", "48"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "f" / "figures_train.json")
    vertices = Mesh(name="figure", geometry=tmp_path / "f" / "meshes" / "figure.pkl").read_vertices()
    assert vertices.shape == (530, 3)
