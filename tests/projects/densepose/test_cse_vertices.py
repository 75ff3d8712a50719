"""From predicted embeddings to vertices, against versions with plain loops."""

import pytest
import torch
import torch.nn.functional as F

from lazycfg.projects.densepose.cse.closest_vertices import (
    find_closest_vertices,
    nearest_rows,
)
from lazycfg.projects.densepose.cse.embedders import Embedder, VertexDirectEmbedder
from lazycfg.projects.densepose.structures import DensePoseEmbeddingPredictorOutput, make_int_box
from lazycfg.utils import SyncCounter

SIZES = {"cow_5002": 23, "cat_5001": 31}
BOXES = torch.tensor([[3.7, 2.2, 40.9, 33.1], [0.0, 0.0, 0.4, 9.0], [5.0, 5.0, 12.0, 11.0], [1.0, 2, 30, 3]])
MESHES = ["cow_5002", "cat_5001", "cow_5002", "cat_5001"]


@pytest.fixture
def embedder() -> Embedder:
    torch.manual_seed(0)
    return Embedder(
        embedders={name: VertexDirectEmbedder(num_vertices=n, embed_dim=5) for name, n in SIZES.items()}
    )


@pytest.fixture
def output() -> DensePoseEmbeddingPredictorOutput:
    torch.manual_seed(1)
    return DensePoseEmbeddingPredictorOutput(
        embedding=torch.randn(4, 5, 14, 14), coarse_segm=torch.randn(4, 3, 14, 14)
    )


def test_nearest_rows() -> None:
    torch.manual_seed(0)
    points, rows = torch.randn(57, 4), torch.randn(11, 4)  # of any length
    expected = torch.cdist(points, rows).argmin(1)
    for chunk in (1, 10, 57, 1000):
        assert torch.equal(nearest_rows(points, rows, chunk), expected)
    assert nearest_rows(points[:0], rows).shape == (0,)


@pytest.mark.parametrize("chunk", [100, 10_000])
def test_vertices_of_each_box(
    embedder: Embedder, output: DensePoseEmbeddingPredictorOutput, chunk: int
) -> None:
    found = find_closest_vertices(output, BOXES, MESHES, embedder, chunk)
    for number, (x, name) in enumerate(zip(found, MESHES, strict=True)):
        _, _, w, h = make_int_box(BOXES)[number]
        assert (x.mesh_name, x.box) == (name, make_int_box(BOXES)[number])
        maps, segm = (
            F.interpolate(m[number : number + 1], (h, w), mode="bilinear", align_corners=False)[0]
            for m in (output.embedding, output.coarse_segm)
        )
        mask = segm.argmax(0) > 0
        assert torch.equal(x.mask, mask)
        distances = torch.cdist(maps.flatten(1).t(), embedder(name).detach())
        expected = torch.where(mask.flatten(), distances.argmin(1), -1).view(h, w)
        assert torch.equal(x.vertices, expected)


def test_no_objects_and_no_foreground(embedder: Embedder, output: DensePoseEmbeddingPredictorOutput) -> None:
    assert find_closest_vertices(output[:0], BOXES[:0], [], embedder) == []
    output.coarse_segm[:, 0] = 100
    assert all((x.vertices == -1).all() for x in find_closest_vertices(output, BOXES, MESHES, embedder))


def test_what_does_not_fit(embedder: Embedder, output: DensePoseEmbeddingPredictorOutput) -> None:
    with pytest.raises(ValueError, match="4 outputs, 3 boxes"):
        find_closest_vertices(output, BOXES[:3], MESHES, embedder)
    with pytest.raises(KeyError, match="dog_5002"):
        find_closest_vertices(output, BOXES, ["dog_5002"] * 4, embedder)


def test_waits_do_not_grow_with_objects(
    embedder: Embedder, output: DensePoseEmbeddingPredictorOutput
) -> None:
    counts = []
    for times in (1, 8):
        repeated = DensePoseEmbeddingPredictorOutput.cat([output] * times)
        with SyncCounter() as counter:
            find_closest_vertices(repeated, BOXES.repeat(times, 1), MESHES * times, embedder, chunk=100_000)
        counts.append((counter.num_syncs, counter.num_ops))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 3  # the boxes, and the pixels of each mesh


def test_half_precision(embedder: Embedder, output: DensePoseEmbeddingPredictorOutput) -> None:
    half = output.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = find_closest_vertices(half, BOXES, MESHES, embedder)
    expected = find_closest_vertices(half.to(torch.float32), BOXES, MESHES, embedder)
    assert all(torch.equal(a.vertices, b.vertices) for a, b in zip(found, expected, strict=True))
