"""The evaluator on generated figures: likenesses against plain loops, perfect and empty predictions."""

import os
import shutil

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from scipy.ndimage import zoom

from lazycfg.evaluation import DatasetEvaluators, inference_on_dataset
from lazycfg.projects.densepose.data import DensePoseCocoDataset
from lazycfg.projects.densepose.evaluation import ChartLikeness, ChartSurface, DensePoseCOCOEvaluator
from lazycfg.projects.densepose.evaluation.likeness import (
    EmbeddingLikeness,
    box_overlaps,
    mask_overlaps,
    object_mask,
)
from lazycfg.projects.densepose.figures.body import build_surface
from lazycfg.projects.densepose.structures import (
    DensePoseChartPredictorOutput,
    DensePoseDataRelative,
    DensePoseEmbeddingPredictorOutput,
    DensePoseFileError,
    chart_results,
    make_int_box,
)
from lazycfg.structures import Boxes, BoxMode, Instances, pairwise_iou

KAPPA = [
    0.351,
    0.351,
    0.107,
    0.107,
    0.126,
    0.126,
    *[0.237] * 4,
    *[0.173] * 4,
    *[0.142] * 4,
    *[0.128] * 4,
    0.15,
    0.15,
]


class FigureMesh:
    def read_geodists(self):
        return torch.from_numpy(build_surface().distances)


@pytest.fixture(scope="module")
def dataset(figures):
    return DensePoseCocoDataset(
        json_file=figures / "figures_test.json", image_root=figures, mesh_names=("figure",)
    )


@pytest.fixture(scope="module")
def surface(figures):
    return ChartSurface(folder=figures)


def boxes_of(record, shift=0.0):
    boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in record["annotations"]]
    return torch.tensor(boxes).view(-1, 4) + shift


def some_output(count, seed=0, side=28):
    g = torch.Generator().manual_seed(seed)
    maps = {"coarse_segm": 2, "fine_segm": 25, "u": 25, "v": 25}
    made = {name: torch.rand(count, n, side, side, generator=g) for name, n in maps.items()}
    made["coarse_segm"][:, 1, 4:24, 4:24] += 1
    return DensePoseChartPredictorOutput(**made)


def perfect(record, side=112):
    """What the annotation says, as a predictor would: at each place the nearest annotated point's."""
    outputs = []
    for annotation in record["annotations"]:
        maps = {"coarse_segm": torch.zeros(1, 2, side, side), "fine_segm": torch.zeros(1, 25, side, side)}
        maps |= {name: torch.zeros(1, 25, side, side) for name in "uv"}
        if annotation.get("dp_x") is not None:
            data = DensePoseDataRelative(annotation, mesh_names=("figure",))
            y, x = torch.meshgrid(*[(torch.arange(side) + 0.5) * 256 / side] * 2, indexing="ij")
            near = ((x[..., None] - data.x) ** 2 + (y[..., None] - data.y) ** 2).argmin(-1)
            inside = (
                torch.nn.functional.interpolate(data.segm[None, None], (side, side), mode="nearest-exact")[
                    0, 0
                ]
                > 0
            )
            maps["coarse_segm"][0, 1] = torch.where(inside, 50.0, -50.0)
            maps["fine_segm"][0].scatter_(0, data.i[near][None], 50.0)
            maps["u"][0, :], maps["v"][0, :] = data.u[near], data.v[near]
        outputs.append(DensePoseChartPredictorOutput(**maps))
    return DensePoseChartPredictorOutput.cat(outputs)


def instances_of(record, output, boxes, scores=None):
    found = Instances((record["height"], record["width"]))
    found.pred_boxes = Boxes(boxes)
    found.scores = torch.ones(len(boxes)) if scores is None else scores
    found.pred_classes = torch.zeros(len(boxes), dtype=torch.int64)
    found.pred_densepose = output
    return found


class Says:
    """A model that says what it was told for each image."""

    def __init__(self, answers):
        self.answers = answers

    def __call__(self, batch):
        return [{"instances": self.answers[item["image_id"]]} for item in batch]


def run(evaluator, dataset, answers, ids=None):
    batches = [[{"image_id": record["image_id"]}] for record in dataset]
    return inference_on_dataset(Says(answers), [b for b in batches if b[0]["image_id"] in answers], evaluator)


def gps(likeness, output, boxes, annotations):
    return likeness.gps([maps for _, maps in likeness.look(output, boxes)], boxes, annotations)


def test_closest_vertices_and_distances(surface):
    own = build_surface()
    rng = np.random.default_rng(0)
    i, u, v = rng.integers(0, 25, 60), rng.random(60), rng.random(60)
    found = surface.closest_vertices(i, u, v)
    for k in range(60):
        if i[k] == 0:
            assert found[k] == 0
            continue
        rows = np.flatnonzero(own.part == i[k])
        away = (own.u[rows] - u[k]) ** 2 + (own.v[rows] - v[k]) ** 2
        assert found[k] == own.index[rows[away.argmin()]] + 1
    other = rng.permutation(found)
    expected = [own.distances[a - 1, b - 1] if a and b else np.inf for a, b in zip(found, other, strict=True)]
    np.testing.assert_allclose(surface.distances(found, other), expected, rtol=1e-6)
    np.testing.assert_array_equal(surface.distances(found[i > 0], found[i > 0]), 0)


def test_point_similarity_in_plain_loops(dataset, surface):
    record = next(
        r for r in dataset if len(r["annotations"]) == 2 and all("dp_x" in a for a in r["annotations"])
    )
    annotations = [{**a, "bbox": list(a["bbox"])} for a in record["annotations"]]
    boxes = torch.cat(
        (boxes_of(record, 1.7), boxes_of(record)[:1] * 0.9, torch.tensor([[0.0, 0.0, 3.0, 2.5]]))
    )
    output = some_output(len(boxes))
    found = gps(ChartLikeness(surface=surface), output, boxes, [*annotations, None])
    results = chart_results(output, boxes)
    for d, (x, y, w, h) in enumerate(boxes.tolist()):
        w, h = w - x, h - y
        assert found[d, 2] == 0
        for g, a in enumerate(annotations):
            values, inside = [], 0
            for k in range(len(a["dp_x"])):
                column = int(a["dp_x"][k] * a["bbox"][2] / 255 + a["bbox"][0] - x)
                row = int(a["dp_y"][k] * a["bbox"][3] / 255 + a["bbox"][1] - y)
                part, uv = 0, (0, 0)
                if 0 <= column < int(w) and 0 <= row < int(h):
                    inside += 1
                    part = int(results[d].labels[row, column])
                    uv = [int(results[d].uv[n, row, column].clamp(0, 1) * 255) / 255 for n in (0, 1)]
                true = surface.closest_vertices(
                    np.array([int(a["dp_I"][k])]), np.array([a["dp_U"][k]]), np.array([a["dp_V"][k]])
                )
                own = surface.closest_vertices(np.array([part]), np.array(uv[:1]), np.array(uv[1:]))
                distance = surface.distances(true, own)[0]
                values.append(np.exp(-(distance**2) / (2 * KAPPA[int(a["dp_I"][k]) - 1] ** 2)))
            assert found[d, g] == pytest.approx(np.mean(values) if inside else 0.0, rel=1e-9)
    assert found[0, 0] > 0


def test_point_similarity_of_embeddings_in_plain_loops(dataset):
    record = next(r for r in dataset if all("dp_x" in a for a in r["annotations"]))
    annotations, boxes = record["annotations"], boxes_of(record, -0.6)
    rows = torch.nn.functional.normalize(
        torch.randn(530, 5, generator=torch.Generator().manual_seed(0)), dim=1
    )
    g = torch.Generator().manual_seed(1)
    output = DensePoseEmbeddingPredictorOutput(
        embedding=torch.randn(len(boxes), 5, 14, 14, generator=g),
        coarse_segm=torch.randn(len(boxes), 2, 14, 14, generator=g),
    )
    likeness = EmbeddingLikeness(embedder=lambda name: rows, meshes={"figure": FigureMesh()}, chunk=7)
    found = gps(likeness, output, boxes, annotations)
    distances = build_surface().distances
    for d, (_, _, w, h) in enumerate(make_int_box(boxes)):
        maps = torch.cat((output.embedding[d], output.coarse_segm[d]))[None]
        maps = torch.nn.functional.interpolate(maps, (h, w), mode="bilinear")[0]
        for k, a in enumerate(annotations):
            values, inside = [], 0
            for point in range(len(a["dp_x"])):
                column = int(a["dp_x"][point] * a["bbox"][2] / 255 + a["bbox"][0] - float(boxes[d, 0]))
                row = int(a["dp_y"][point] * a["bbox"][3] / 255 + a["bbox"][1] - float(boxes[d, 1]))
                distance = np.inf
                if 0 <= column < w and 0 <= row < h:
                    inside += 1
                    if maps[5:, row, column].argmax() > 0:
                        near = (maps[:5, row, column] - rows).square().sum(1).argmin()
                        distance = distances[a["dp_vertex"][point], near]
                values.append(np.exp(-(distance**2) / (2 * 0.255**2)))
            assert found[d, k] == pytest.approx(np.mean(values) if inside else 0.0, rel=1e-6)
    with pytest.raises(ValueError, match="no dp_vertex and ref_model"):
        gps(likeness, output, boxes, [{**annotations[0], "dp_vertex": None}])
    with pytest.raises(ValueError, match="'cat_5001', which is not among those of the evaluator"):
        gps(likeness, output, boxes, [{**annotations[0], "ref_model": "cat_5001"}])


@pytest.mark.parametrize("mode", ["IUV_GT", "I_GT_UV_0", "I_GT_UV_DT", "I_DT_UV_0"])
def test_parts_and_coordinates_from_elsewhere(dataset, surface, mode):
    record = next(r for r in dataset if "dp_x" in r["annotations"][0])
    annotation, boxes = record["annotations"][0], boxes_of(record)[:1]
    value = gps(ChartLikeness(surface=surface, data_mode=mode), perfect(record)[:1], boxes, [annotation])[
        0, 0
    ]
    assert (value > 0.99) == mode.endswith(("GT", "UV_DT"))
    assert 0 < value <= 1


def test_masks_and_boxes(dataset):
    record = next(r for r in dataset if "dp_x" in r["annotations"][0])
    size, annotation = (record["height"], record["width"]), record["annotations"][0]
    _, _, w, h = annotation["bbox"] = [20.4, 10.8, 31.7, 40.2]
    mask = object_mask(annotation, size)
    labels = DensePoseDataRelative.extract_segmentation_mask(annotation).numpy()
    small = zoom((labels > 0).astype(float), (h / 256, w / 256), order=1, prefilter=False) > 0.5
    expected = np.zeros(size, dtype=bool)
    expected[10 : 10 + small.shape[0], 20 : 20 + small.shape[1]] = small
    expected[:, 52:], expected[51:] = False, False
    assert (mask.numpy() != expected).mean() < 1e-3
    polygon = object_mask({"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 6, 0, 6, 4, 0, 4]]}, (8, 8))
    assert polygon.sum() == 24
    assert not object_mask({"bbox": [0, 0, 9, 9]}, (8, 8)).any()

    found, crowd = torch.rand(3, 9, 9) > 0.5, np.array([False, True])
    true = torch.rand(2, 9, 9) > 0.3
    for d in range(3):
        both = (found[d] & true).flatten(1).sum(1).double()
        whole = torch.stack(((found[d] | true[0]).sum(), found[d].sum()))
        np.testing.assert_allclose(mask_overlaps(found, true, crowd)[d], both / whole)
    a, b = torch.rand(3, 4).cumsum(1), torch.rand(2, 4).cumsum(1)
    ious = box_overlaps(a.double().numpy(), b.double().numpy(), np.array([False, False]))
    np.testing.assert_allclose(ious, pairwise_iou(Boxes(a), Boxes(b)), atol=1e-6)


def test_perfect_predictions(dataset, surface):
    evaluator = DensePoseCOCOEvaluator(dataset=dataset, surface=surface, min_iou_threshold=0.2)
    answers = {r["image_id"]: instances_of(r, perfect(r), boxes_of(r)) for r in dataset}
    results = run(evaluator, dataset, answers)
    assert set(results) == {"densepose_gps", "densepose_gpsm", "densepose_segm"}
    assert results["densepose_gps"]["AP"] > 95
    assert results["densepose_gpsm"]["AP50"] == pytest.approx(100)
    assert results["densepose_segm"]["AP"] > 85
    assert {"AP20", "AP30", "AP40", "AR", "APm", "APl", "ARl"} <= set(results["densepose_gps"])
    # False detections that are surer cost precision, not recall
    twice = {
        k: Instances.cat([one, instances_of(r, perfect(r), boxes_of(r) * 0 + torch.tensor([0, 0, 9.0, 9]))])
        for (k, one), r in zip(answers.items(), dataset, strict=True)
    }
    for found in twice.values():
        found.scores = torch.arange(len(found)).float()
    worse = run(evaluator, dataset, twice)
    assert 20 < worse["densepose_gps"]["AP"] < 80
    assert worse["densepose_gps"]["AR"] == results["densepose_gps"]["AR"]
    # Images that nobody predicted count as empty
    half = dict(list(answers.items())[: len(answers) // 2])
    assert run(evaluator, dataset, half)["densepose_gps"]["AR"] < 80
    nothing = {k: Instances(x.image_size) for k, x in answers.items()}
    assert run(evaluator, dataset, nothing)["densepose_gps"]["AP"] == 0
    assert run(evaluator, dataset, {}) == {}
    trial = evaluator.try_out(
        [{"image_id": k} for k in list(answers)[:2]], [{"instances": x} for x in list(answers.values())[:2]]
    )
    assert set(trial["densepose_segm"]) == set(results["densepose_segm"])


def test_other_detections_than_the_best_do_not_count(dataset, surface):
    record = next(r for r in dataset if "dp_x" in r["annotations"][0])
    boxes = boxes_of(record)[:1].repeat(25, 1)
    output = some_output(25)
    found = instances_of(record, output, boxes, torch.rand(25, generator=torch.Generator().manual_seed(0)))
    evaluator = DensePoseCOCOEvaluator(dataset=dataset, surface=surface)
    evaluator.process([{"image_id": record["image_id"]}], [{"instances": found}])
    (kept,) = evaluator._images.values()
    assert sorted(kept.scores) == sorted(found.scores.sort(descending=True).values[:20].double().tolist())


def test_ignored_regions(dataset, surface):
    record = next(r for r in dataset if len(r["annotations"]) == 1 and "dp_x" in r["annotations"][0])
    x, y, w, h = record["annotations"][0]["bbox"]
    found = {"instances": instances_of(record, perfect(record), boxes_of(record))}

    class One:
        metadata = dataset.metadata

        def __init__(self, right):
            xs, ys = [[x, right, right, x]], [[y, y, y + h, y + h]]
            self.record = {**record, "ignore_regions_x": xs, "ignore_regions_y": ys}

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self.record

    for right, objects, detections in ((x + 0.3 * w, 1, 1), (x + w, 0, 0), (200.0, 0, 0)):
        evaluator = DensePoseCOCOEvaluator(dataset=One(right), surface=surface)
        evaluator.process([{"image_id": record["image_id"]}], [found])
        (image,) = evaluator._images.values()
        assert (len(image.gt_labels), len(image.labels)) == (objects, detections)


def test_what_is_refused(dataset, surface, tmp_path, figures):
    with pytest.raises(ValueError, match='evaluator_type must be "iuv"'):
        DensePoseCOCOEvaluator(dataset=dataset, evaluator_type="iou", surface=surface)
    with pytest.raises(ValueError, match="needs surface=ChartSurface"):
        DensePoseCOCOEvaluator(dataset=dataset)
    with pytest.raises(ValueError, match="needs embedder and meshes"):
        DensePoseCOCOEvaluator(dataset=dataset, evaluator_type="cse")
    with pytest.raises(ValueError, match="min_iou_threshold must be above 0"):
        DensePoseCOCOEvaluator(dataset=dataset, surface=surface, min_iou_threshold=1.0)
    with pytest.raises(ValueError, match="data_mode must be one of"):
        DensePoseCOCOEvaluator(dataset=dataset, surface=surface, data_mode="IUV")
    record = dataset[0]
    evaluator = DensePoseCOCOEvaluator(dataset=dataset, surface=surface)
    found = instances_of(record, perfect(record), boxes_of(record))
    found.remove("pred_densepose")
    with pytest.raises(ValueError, match="no pred_densepose") as caught:
        evaluator.process([{"image_id": record["image_id"]}], [{"instances": found}])
    assert f"image_id {record['image_id']!r}" in caught.value.__notes__[0]
    found.pred_densepose = DensePoseEmbeddingPredictorOutput(
        embedding=torch.zeros(len(found), 3, 2, 2), coarse_segm=torch.zeros(len(found), 2, 2, 2)
    )
    with pytest.raises(TypeError, match='evaluator_type="cse"'):
        evaluator.process([{"image_id": record["image_id"]}], [{"instances": found}])

    with pytest.raises(FileNotFoundError, match=r"published at https://.*/SMPL_subdiv.mat: put it there"):
        ChartSurface(folder=tmp_path).closest_vertices(np.array([1]), np.array([0.5]), np.array([0.5]))
    for name in ("SMPL_subdiv.mat", "SMPL_SUBDIV_TRANSFORM.mat"):
        shutil.copy(figures / name, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"/Pdist_matrix.pkl: put it there"):
        ChartSurface(folder=tmp_path).distances(np.array([1]), np.array([2]))
    np.save(tmp_path / "few.npy", np.zeros(10))
    few = ChartSurface(folder=tmp_path, distances_file=tmp_path / "few.npy")
    with pytest.raises(DensePoseFileError, match="has 10 distances; between 530 vertices there are 140185"):
        few.distances(np.array([1]), np.array([2]))


def test_distances_in_an_array_file(surface, figures, tmp_path):
    np.save(tmp_path / "distances.npy", surface._distances)
    other = ChartSurface(folder=figures, distances_file=tmp_path / "distances.npy")
    a, b = np.arange(1, 500), np.arange(500, 1, -1)
    np.testing.assert_array_equal(other.distances(a, b), surface.distances(a, b))
    assert isinstance(other._distances, np.memmap)


def _evaluate_in_two(rank, folder, figures, results):
    os.environ.update(MASTER_ADDR="localhost", OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    own = DensePoseCocoDataset(
        json_file=figures / "figures_test.json", image_root=figures, mesh_names=("figure",)
    )
    evaluator = DensePoseCOCOEvaluator(dataset=own, surface=ChartSurface(folder=figures))
    # The first image is seen by both, as where a sampler pads
    answers = {
        r["image_id"]: instances_of(r, perfect(r, 28), boxes_of(r, r["image_id"]))
        for k, r in enumerate(own)
        if k % 2 == rank or k == 0
    }
    results[rank] = run(DatasetEvaluators([evaluator]), own, answers)
    dist.destroy_process_group()


@pytest.mark.slow
def test_in_two_processes(dataset, surface, figures, tmp_path):
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(_evaluate_in_two, args=(tmp_path, figures, results), nprocs=2)
        both = dict(results)
    answers = {r["image_id"]: instances_of(r, perfect(r, 28), boxes_of(r, r["image_id"])) for r in dataset}
    alone = run(DensePoseCOCOEvaluator(dataset=dataset, surface=surface), dataset, answers)
    assert both[1] == {}
    for task, values in alone.items():
        assert both[0][task] == pytest.approx(values, nan_ok=True)
    assert alone["densepose_segm"]["AR"] > 0
