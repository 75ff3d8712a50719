"""Training on a video without annotations: frames, a teacher's predictions as ground truth, mixed batches."""

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import nn

from lazycfg import LazyConfig, check, instantiate
from lazycfg.data import DatasetFromList, DatasetMapper, build_detection_train_loader
from lazycfg.projects import densepose
from lazycfg.projects.densepose import (
    DensePoseChartPredictorOutputWithConfidences,
    DensePoseDataRelative,
    DensePoseEmbeddingPredictorOutput,
    DensePoseEmbeddingPredictorOutputWithConfidences,
    Embedder,
    VertexDirectEmbedder,
    chart_results,
    find_closest_vertices,
)
from lazycfg.projects.densepose.bootstrapping import (
    ChartPointSampler,
    CombinedLoader,
    EmbeddingPointSampler,
    ImageListDataset,
    InferenceBasedLoader,
    ScoreBasedFilter,
    SelectFrames,
    VideoError,
    VideoKeyframeDataset,
    instances_of_predictions,
)
from lazycfg.projects.densepose.bootstrapping.sampling import FINE_TO_COARSE, pick_points
from lazycfg.projects.densepose.bootstrapping.video import list_keyframes, read_keyframes
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import comm

FRAMES, EVERY = 24, 6


def make_video(path: Path, base: int = 0) -> Path:
    """Frame i is of brightness base + 5 i; every sixth one is a key frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"g": str(EVERY), "sc_threshold": "1000000000"}
        for i in range(FRAMES):
            image = np.full((48, 64, 3), base + 5 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("videos")
    return [str(make_video(folder / f"{i}.mkv", 40 * i)) for i in range(3)]


def test_key_frames_of_a_video(videos: list[str]) -> None:
    times = list_keyframes(videos[1])
    assert len(times) == FRAMES // EVERY
    frames = read_keyframes(videos[1], [times[2], times[0]])
    assert [f.shape for f in frames] == [(48, 64, 3)] * 2
    assert [round(float(f.mean())) for f in frames] == pytest.approx([40 + 5 * 12, 40], abs=3)


def test_files_that_are_no_videos(tmp_path: Path, videos: list[str]) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video" * 100)
    with pytest.raises(VideoError, match=r"broken\.mkv"):
        list_keyframes(broken)
    with pytest.raises(FileNotFoundError, match=r"none\.mkv"):
        list_keyframes(tmp_path / "none.mkv")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(Path(videos[0]).read_bytes()[:400])
    with pytest.raises(VideoError, match=r"cut\.mkv"):
        read_keyframes(cut, [0])


def test_what_reads_videos_is_named_where_it_is_missing(
    videos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'lazycfg\[video\]'"):
        list_keyframes(videos[0])


def test_selection_of_frames() -> None:
    rng = np.random.default_rng(0)
    times = list(range(10, 20))
    assert SelectFrames(strategy="first_k", count=3)(times, rng) == [10, 11, 12]
    assert SelectFrames(strategy="last_k", count=3)(times, rng) == [17, 18, 19]
    assert SelectFrames(strategy="all", count=None)(times, rng) == times
    drawn = [SelectFrames(count=3)(times, rng) for _ in range(50)]
    assert all(len(set(x)) == 3 and x == sorted(x) for x in drawn)
    assert {t for x in drawn for t in x} == set(times)
    assert SelectFrames(count=30)(times, rng) == times
    assert SelectFrames(count=3)([], rng) == []
    for arguments in ({"strategy": "best"}, {"strategy": "all"}, {"count": 0}, {"count": None}):
        with pytest.raises(ValueError, match="SelectFrames"):
            SelectFrames(**arguments)


def test_lists_of_videos_and_images(videos: list[str], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n".join(Path(v).name for v in videos) + "\n\n")
    dataset = VideoKeyframeDataset(
        files=tmp_path / "list.txt", root=Path(videos[0]).parent, select=SelectFrames(count=2)
    )
    assert dataset.files == videos
    frames = dataset.frames(2, np.random.default_rng(0))
    assert [f["file_name"] for f in frames] == [videos[2]] * 2
    assert frames[0]["image"].mean() > 75
    assert ImageListDataset(files=["a.jpg"], root="b").frames(0, np.random.default_rng(0)) == [
        {"file_name": "b/a.jpg"}
    ]
    with pytest.raises(ValueError, match="there are no files"):
        ImageListDataset(files=[])


# ---------------------------------------------------------------------- points


def test_points_of_each_group() -> None:
    groups = torch.tensor([3, 1, 1, 3, 1, 1, 7, 1, 1, 1, 1])
    counts = torch.zeros(len(groups))
    for seed in range(200):
        chosen = pick_points(groups, 2, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(chosen, chosen.sort().values)
        assert [(groups[chosen] == g).sum().item() for g in (1, 3, 7)] == [2, 2, 1]
        counts[chosen] += 1
    assert counts[6] == 200
    assert counts[groups == 1].min() > 25  # 50 expected
    assert len(pick_points(groups[:0], 2)) == 0


@pytest.mark.parametrize(("best", "share"), [("highest", 0.5), ("lowest", 0.5), ("highest", 0.1)])
def test_points_of_the_best_confidence(best: Any, share: float) -> None:
    torch.manual_seed(0)
    groups = torch.randint(0, 3, (60,))
    confidence = torch.rand(60)
    seen: set[int] = set()
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        chosen = pick_points(groups, 4, confidence, best=best, search_proportion=share, generator=generator)
        seen |= set(chosen.tolist())
    expected: set[int] = set()
    for group in range(3):
        rows = sorted(
            (groups == group).nonzero().flatten().tolist(),
            key=lambda i: confidence[i].item(),
            reverse=best == "highest",
        )
        expected |= set(rows[: max(int(len(rows) * share), 4)])
    assert seen == expected


def chart_predictions(seed: int = 0) -> Instances:
    g = torch.Generator().manual_seed(seed)
    x = Instances((48, 64))
    x.pred_boxes = Boxes(torch.tensor([[3.2, 4.1, 40.3, 40.7], [10.0, 5.0, 30.0, 45.0]]))
    x.scores = torch.tensor([0.9, 0.7])
    x.pred_classes = torch.tensor([0, 0])
    fine = torch.randn(2, 25, 4, 4, generator=g)
    fine[:, 7:] = -10  # parts 1 to 6
    x.pred_densepose = DensePoseChartPredictorOutputWithConfidences(
        coarse_segm=torch.randn(2, 2, 14, 14, generator=g),
        fine_segm=torch.nn.functional.interpolate(fine, (14, 14)),
        u=torch.randn(2, 25, 14, 14, generator=g),
        v=torch.rand(2, 25, 14, 14, generator=g),
        sigma_2=torch.randn(2, 25, 14, 14, generator=g),
        fine_segm_confidence=torch.rand(2, 1, 14, 14, generator=g),
    )
    return x


@pytest.mark.parametrize("confidence", [None, "sigma_2", "fine_segm_confidence"])
def test_charts_as_annotations(confidence: str | None) -> None:
    predictions = chart_predictions()
    sampler = ChartPointSampler(count_per_class=3, confidence=confidence)
    datas = sampler(predictions, torch.Generator().manual_seed(0))
    results = chart_results(predictions.pred_densepose, predictions.pred_boxes.tensor)
    for data, result in zip(datas, results, strict=True):
        height, width = result.labels.shape
        row, column = (data.y / 256 * height).long(), (data.x / 256 * width).long()
        assert torch.allclose(data.x, (column + 0.5) / width * 256)
        assert torch.equal(result.labels[row, column], data.i)
        assert torch.allclose(result.uv[0, row, column].clamp(0, 1), data.u)
        assert torch.allclose(result.uv[1, row, column].clamp(0, 1), data.v)
        sizes = {part: int((result.labels == part).sum()) for part in range(1, 25)}
        assert {p: int((data.i == p).sum()) for p in sizes} == {p: min(3, n) for p, n in sizes.items()}
        if confidence is not None:
            values = getattr(result, confidence)
            for part in data.i.unique():
                own = values[result.labels == part].sort(descending=confidence != "sigma_2").values
                worst = own[max(len(own) // 2, 3) - 1] if len(own) > 3 else own[-1]
                chosen = values[row, column][data.i == part]
                assert (chosen <= worst).all() if confidence == "sigma_2" else (chosen >= worst).all()
        assert data.segm.shape == (256, 256)
        assert set(data.segm.unique().tolist()) <= {float(FINE_TO_COARSE[k]) for k in range(7)}
    with pytest.raises(ValueError, match="kappa_u"):
        ChartPointSampler(confidence="kappa_u")(predictions)


def test_fine_to_coarse_parts() -> None:
    pairs = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 9: 6, 8: 7, 10: 7, 11: 8, 13: 8, 12: 9, 14: 9}
    pairs |= {15: 10, 17: 10, 16: 11, 18: 11, 19: 12, 21: 12, 20: 13, 22: 13, 23: 14, 24: 14}
    assert dict(enumerate(FINE_TO_COARSE)) == {0: 0, **pairs}


def embedding_predictions(confident: bool) -> tuple[Instances, Embedder]:
    torch.manual_seed(0)
    embedder = Embedder(
        embedders={
            name: VertexDirectEmbedder(num_vertices=9, embed_dim=4) for name in ("cow_5002", "cat_5001")
        },
        class_to_mesh_name={0: "cow_5002", 1: "cat_5001"},
    )
    x = chart_predictions()
    x.pred_classes = torch.tensor([1, 0])
    maps = {"embedding": torch.randn(2, 4, 14, 14), "coarse_segm": torch.randn(2, 2, 14, 14)}
    if confident:
        confidence = torch.rand(2, 1, 14, 14)
        x.set(
            "pred_densepose",
            DensePoseEmbeddingPredictorOutputWithConfidences(**maps, coarse_segm_confidence=confidence),
        )
    else:
        x.set("pred_densepose", DensePoseEmbeddingPredictorOutput(**maps))
    return x, embedder


@pytest.mark.parametrize("confident", [False, True])
def test_embeddings_as_annotations(confident: bool) -> None:
    predictions, embedder = embedding_predictions(confident)
    sampler = EmbeddingPointSampler(embedder=embedder, count_per_class=20, use_confidence=confident)
    datas = sampler(predictions, torch.Generator().manual_seed(0))
    found = find_closest_vertices(
        predictions.pred_densepose, predictions.pred_boxes.tensor, ["cat_5001", "cow_5002"], embedder
    )
    assert [data.mesh_id for data in datas] == [2, 11]
    for data, each in zip(datas, found, strict=True):
        height, width = each.vertices.shape
        row, column = (data.y / 256 * height).long(), (data.x / 256 * width).long()
        assert len(data.x) == 20
        assert torch.equal(each.vertices[row, column], data.vertex_ids)
        assert set(data.segm.unique().tolist()) == {0.0, 1.0}
    if not confident:
        with pytest.raises(ValueError, match="predicts no confidence"):
            EmbeddingPointSampler(embedder=embedder, use_confidence=True)(predictions)


def test_predictions_as_ground_truth() -> None:
    predictions = ScoreBasedFilter(min_score=0.8)(chart_predictions())
    instances = instances_of_predictions(predictions, ChartPointSampler(), masks=True)
    assert set(instances.get_fields()) == {"gt_boxes", "gt_classes", "gt_masks", "gt_densepose"}
    assert len(instances) == 1
    assert instances.gt_masks.tensor.shape == (1, 48, 64)
    assert torch.equal(instances.gt_boxes.tensor, predictions.pred_boxes.tensor)
    assert torch.equal(instances.gt_densepose.boxes_xyxy_abs, predictions.pred_boxes.tensor)
    without = instances_of_predictions(predictions, ChartPointSampler(), masks=False)
    assert not without.has("gt_masks")


# ---------------------------------------------------------------------- loaders


class Teacher(nn.Module):
    """Predicts the same for all images, with the brightness of the image as the first score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batches: list[int] = []

    def inference(self, batch: list[dict[str, Any]], do_postprocess: bool) -> list[Instances]:
        assert not self.training
        assert not do_postprocess
        self.batches.append(len(batch))
        out = [chart_predictions() for _ in batch]
        for x, image in zip(out, batch, strict=True):
            x.scores = torch.stack((image["image"].float().mean() / 100, torch.tensor(0.1)))
        return out


def one_point(instances: Instances, generator: torch.Generator | None) -> list[DensePoseDataRelative]:
    """Stand for a sampler, and take no time."""
    points = {"dp_I": [1], "dp_U": [0.5], "dp_V": [0.5], "dp_y": [5.0]}
    return [
        DensePoseDataRelative({**points, "dp_x": torch.rand(1, generator=generator) * 256})
        for _ in range(len(instances))
    ]


def make_loader(videos: list[str], **kwargs: Any) -> InferenceBasedLoader:
    arguments: dict[str, Any] = {
        "teacher": Teacher(),
        "frames": VideoKeyframeDataset(files=videos, select=SelectFrames(count=3)),
        "mapper": DatasetMapper(is_train=False, image_format="BGR"),
        "point_sampler": one_point,
        "masks": False,
        "files_at_once": 2,
        "batch_size": 2,
    }
    return InferenceBasedLoader(**(arguments | kwargs))


def marks(samples: list[dict[str, Any]]) -> list[Any]:
    return [
        (s["file_name"], s.get("frame_time"), s["instances"].gt_densepose[0].x.tolist())
        if "frame_time" in s
        else s["image_id"]
        for s in samples
    ]


def take(loader: Any, count: int) -> list[Any]:
    iterator = iter(loader)
    return [next(iterator) for _ in range(count)]


def test_the_teacher_annotates_frames(videos: list[str]) -> None:
    loader = make_loader(videos, data_filter=ScoreBasedFilter(min_score=0.95))
    samples = take(loader, 12)
    for sample in samples:
        assert sample["image"].shape == (3, 48, 64)
        assert sample["image"].float().mean() >= 95
        assert len(sample["instances"]) == 1
    # the darkest video has no frame that passes
    assert {s["file_name"] for s in samples} == set(videos[1:])
    assert set(loader.teacher.batches) == {2}
    nothing = make_loader(videos, data_filter=ScoreBasedFilter(min_score=5))
    with pytest.raises(RuntimeError, match=r"in any of 3 files: .*min_score"):
        take(nothing, 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_same_again_and_continued(videos: list[str], workers: int) -> None:
    select = ScoreBasedFilter(min_score=0.5)
    whole = marks(take(make_loader(videos, data_filter=select), 14))
    assert marks(take(make_loader(videos, data_filter=select, num_workers=workers), 14)) == whole
    assert marks(take(make_loader(videos, data_filter=select, seed=1), 14)) != whole
    for stop in (1, 9):
        loader = make_loader(videos, data_filter=select)
        take(loader, stop)
        other = make_loader(videos, data_filter=select)
        other.load_state_dict(loader.state_dict())
        assert marks(take(other, 14 - stop)) == whole[stop:]


def test_processes_share_the_files(videos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loader = make_loader(videos, files_at_once=1)
    alone = [key for _, (key,) in zip(range(12), loader._keys(0), strict=False)]
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    both = []
    for rank in (0, 1):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        both.append([key for _, (key,) in zip(range(6), loader._keys(0), strict=False)])
    # together what one process alone would see
    assert [key for pair in zip(*both, strict=True) for key in pair] == alone
    assert [sorted(index for index, _ in alone[i : i + 3]) for i in (0, 3, 6, 9)] == [[0, 1, 2]] * 4


def test_broken_files_are_named_or_skipped(videos: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video" * 100)
    files = [*videos, str(broken)]
    with pytest.raises(VideoError, match=r"broken\.mkv"):
        take(make_loader(files), 40)
    samples = take(make_loader(files, on_error="skip"), 20)
    assert {s["file_name"] for s in samples} <= set(videos)


def annotated(count: int = 9) -> Any:
    images = [np.full((32, 40, 3), 7, dtype=np.uint8) for _ in range(count)]
    box = {"bbox": [2, 3, 20, 20], "bbox_mode": 1, "category_id": 0}
    records = [
        {"image": image, "image_id": i, "height": 32, "width": 40, "annotations": [dict(box)]}
        for i, image in enumerate(images)
    ]
    return build_detection_train_loader(
        dataset=DatasetFromList(records),
        mapper=DatasetMapper(is_train=True),
        total_batch_size=4,
        aspect_ratio_grouping=False,
    )


def test_batches_of_both(videos: list[str]) -> None:
    def make(**kwargs: Any) -> CombinedLoader:
        arguments = {"loader": annotated(), "others": [make_loader(videos)], "ratios": [1.0]}
        return CombinedLoader(**(arguments | kwargs))

    loader = make()
    batches = take(loader, 24)
    assert [len(batch) for batch in batches] == [4] * 24
    made = [sum("frame_time" in s for s in batch) for batch in batches]
    assert 28 <= sum(made) <= 68  # 48 expected
    assert 0 < made.count(2) < 24
    own = [s["image_id"] for batch in batches for s in batch if "image_id" in s]
    expected = [s["image_id"] for batch in take(annotated(), 24) for s in batch][: len(own)]
    assert own == expected  # each in its turn
    assert loader.total_batch_size == 4
    assert len(loader.dataset) == 9

    whole = [marks(batch) for batch in batches]
    for stop in (1, 6):
        first = make()
        take(first, stop)
        second = make()
        second.load_state_dict(first.state_dict())
        assert [marks(batch) for batch in take(second, 5)] == whole[stop : stop + 5]
    with pytest.raises(ValueError, match="positive ratio"):
        make(ratios=[])


EVOLUTION = Path(densepose.__file__).parent / "configs" / "evolution"


@pytest.mark.parametrize(
    ("name", "confidence"),
    [
        ("uniform", None),
        ("uv", "sigma_2"),
        ("finesegm", "fine_segm_confidence"),
        ("coarsesegm", "coarse_segm_confidence"),
    ],
)
def test_configs(name: str, confidence: str | None) -> None:
    cfg = LazyConfig.load(EVOLUTION / f"densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_{name}.py")
    check(cfg)
    train = cfg.dataloader.train
    assert train.ratios == [1.0]
    (other,) = train.others
    sampler = instantiate(other.point_sampler)
    assert (sampler.count_per_class, sampler.confidence) == (8, confidence)
    assert sampler.best == ("lowest" if name == "uv" else "highest")
    select = instantiate(other.frames.select)
    assert (select.strategy, select.count) == ("random_k", 4)
    assert instantiate(other.data_filter).min_score == 0.8
    assert other.weights == cfg.train.init_checkpoint
    assert other.teacher is not cfg.model
    with torch.device("meta"):
        teacher, student = instantiate(other.teacher), instantiate(cfg.model)
    assert teacher.state_dict().keys() == student.state_dict().keys()
