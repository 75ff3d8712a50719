"""What is drawn of charts, vertices and embeddings."""

import numpy as np
import pytest
import torch

from lazycfg.projects.densepose.cse import Embedder, VertexDirectEmbedder
from lazycfg.projects.densepose.structures import (
    DensePoseChartPredictorOutput,
)
from lazycfg.projects.densepose.structures import (
    DensePoseEmbeddingPredictorOutput as EmbeddingOutput,
)
from lazycfg.projects.densepose.visualization import (
    draw_densepose,
    jet,
    paint_output,
    paint_texture,
    paint_vertices,
    parula,
    vertex_colors,
)
from lazycfg.structures import Boxes, Instances
from lazycfg.visualization import Canvas, draw_instances

BOXES = torch.tensor([[4.0, 6.0, 24.0, 26.0], [30.0, 2.0, 70.0, 30.0]])  # the second leaves the image


def charts(part=2):
    """Two objects that are one part, u from left to right, v downwards; the upper half is background."""
    side = 16
    ramp = (torch.arange(side) + 0.5) / side
    fine = torch.zeros(2, 25, side, side)
    fine[:, part] = 9
    coarse = torch.zeros(2, 2, side, side)
    coarse[:, 0, : side // 2] = 9
    coarse[:, 1, side // 2 :] = 9
    u = ramp.expand(2, 25, side, side).clone()
    return DensePoseChartPredictorOutput(coarse_segm=coarse, fine_segm=fine, u=u, v=u.transpose(2, 3).clone())


def found(output):
    return Instances(
        (40, 50),
        pred_boxes=Boxes(BOXES),
        scores=torch.tensor([0.9, 0.4]),
        pred_classes=torch.zeros(2, dtype=torch.int64),
        pred_densepose=output,
    )


def test_colour_maps():
    assert parula(np.array([0.0, 1.0])).tolist() == [[62, 38, 168], [249, 251, 21]]
    assert jet(np.array([0.125, 0.375, 0.625, 0.875])).tolist() == [
        [0, 0, 255],
        [0, 255, 255],
        [255, 255, 0],
        [255, 0, 0],
    ]
    assert parula(np.zeros((3, 4))).shape == (3, 4, 3)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_parts_and_coordinates(scale):
    blank = np.zeros((40, 50, 3), np.uint8)
    for kind, expected in (("dp_segm", lambda x: 2 / 24), ("dp_u", lambda x: x), ("dp_v", None)):
        canvas = Canvas(blank, scale=scale)
        paint_output(canvas, charts(), BOXES, kind)
        image = canvas.image[:: int(scale), :: int(scale)]
        assert not image[:15].any()  # the upper half is background
        assert not image[27:, :30].any()
        assert image[20, 10].any()
        assert image[20, 45].any()
        if expected is not None:
            wanted = 0.7 * parula(np.array(expected((10.5 - 4) / 20))).astype(float)
            np.testing.assert_allclose(image[20, 10], wanted, atol=6)
    top, bottom = image[17, 10].astype(int), image[25, 10].astype(int)
    assert np.abs(top - bottom).sum() > 40  # v


def test_contours_are_lines():
    canvas = Canvas(np.zeros((40, 50, 3), np.uint8), scale=8)
    paint_output(canvas, charts(), BOXES, "dp_contour")
    drawn = canvas.image.any(axis=2)
    inside = drawn[17 * 8 : 25 * 8, 5 * 8 : 23 * 8]
    assert 0.03 < inside.mean() < 0.3
    columns = inside.all(axis=0)
    assert columns.sum() == 9 or columns.sum() == 8  # levels of u
    assert inside.all(axis=1).sum() >= 3  # of v, in the lower half


def test_texture():
    atlas = np.zeros((60, 40, 3), np.uint8)
    atlas[10:20, :10] = 200  # the part below the first
    canvas = Canvas(np.zeros((40, 50, 3), np.uint8), scale=1)
    paint_output(canvas, charts(part=2), BOXES, "dp_iuv_texture", atlas=atlas)
    assert canvas.image[20, 10].tolist() == [200] * 3
    before = canvas.image
    paint_output(canvas, charts(part=1), BOXES, "dp_iuv_texture", atlas=atlas)  # black: left out
    np.testing.assert_array_equal(canvas.image, before)
    labels, uv = np.full((4, 4), 8), np.zeros((2, 4, 4))
    with_alpha = np.zeros((60, 40, 4), np.uint8)
    with_alpha[19, 10] = (255, 0, 0, 128)  # part 8: the second column and row; v = 0 is at the lower side
    paint_texture(canvas, labels, uv, (0, 0, 4, 4), with_alpha)
    assert canvas.image[0, 0].tolist() == [128, 0, 0]
    with pytest.raises(ValueError, match="an atlas of textures must be"):
        paint_texture(canvas, labels, uv, (0, 0, 4, 4), atlas[:50])
    with pytest.raises(ValueError, match="needs an atlas"):
        paint_output(canvas, charts(), BOXES, "dp_iuv_texture")


def test_vertices():
    canvas = Canvas(np.zeros((40, 50, 3), np.uint8), scale=1)
    vertices = torch.tensor([[-1, 0], [1, 2]])
    colors = vertex_colors(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 1]]))
    assert colors.tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 255]]
    paint_vertices(canvas, vertices, (10, 5, 2, 2), colors)
    assert canvas.image[5:7, 10:12].max(axis=2).tolist() == [[0, 0], [178, 178]]
    paint_vertices(canvas, vertices, (20, 5, 2, 2))
    assert canvas.image[5, 21].any()


def test_everything_of_an_image():
    image = torch.randint(0, 255, (3, 40, 50), dtype=torch.uint8)
    drawn = draw_densepose(
        image, found(charts()), ["dp_segm", "dp_contour", "bbox"], scale=1, score_threshold=0.0
    )
    assert drawn.shape == (40, 50, 3)
    grey = draw_densepose(image, found(charts()), ["bbox"], scale=1, score_threshold=0.95)
    assert (grey[..., 0] == grey[..., 1]).all()  # nothing is that sure
    one = draw_densepose(image, found(charts()), ["dp_segm"], scale=1)
    assert (one[:, 30:] == grey[:, 30:]).all()
    assert draw_densepose(image, found(charts())).shape[0] > 300  # small images are enlarged
    colourful = draw_densepose(image, found(charts()), ["bbox"], scale=1, score_threshold=0.95, grey=False)
    assert np.array_equal(colourful, image.permute(1, 2, 0).numpy())
    assert draw_densepose(
        image, Instances((40, 50), scores=torch.zeros(0), pred_boxes=Boxes(torch.zeros(0, 4)))
    ).any()


def test_embeddings():
    image = np.zeros((40, 50, 3), np.uint8)
    embedder = Embedder(
        embedders={"figure": VertexDirectEmbedder(num_vertices=2, embed_dim=3)}, mesh_names=("figure",)
    )
    embedder.embedder_figure.embeddings.data.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    embedding = torch.zeros(2, 3, 16, 16)
    embedding[:, 0, :, :8], embedding[:, 1, :, 8:] = 1, 1
    output = EmbeddingOutput(embedding=embedding, coarse_segm=charts().coarse_segm)
    colors = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    drawn = draw_densepose(
        image, found(output), ["dp_vertex"], scale=1, embedder=embedder, colors_of_meshes={"figure": colors}
    )
    assert drawn[20, 8].tolist() == [178, 0, 0]
    assert drawn[20, 20].tolist() == [0, 178, 0]
    assert not drawn[10].any()
    with pytest.raises(ValueError, match='use "dp_vertex"'):
        draw_densepose(image, found(output), ["dp_segm"])
    with pytest.raises(ValueError, match='"dp_vertex" is for embeddings'):
        draw_densepose(image, found(charts()), ["dp_vertex"])
    with pytest.raises(ValueError, match="kinds must be any of dp_segm"):
        draw_densepose(image, found(charts()), ["segm"])


@pytest.mark.parametrize("kind", ["charts", "embeddings"])
def test_images_of_a_training_show_it(kind):
    """Through `draw_instances`, which knows nothing of DensePose."""
    image = np.zeros((80, 100, 3), np.uint8)
    output = (
        charts()
        if kind == "charts"
        else EmbeddingOutput(embedding=torch.randn(2, 2, 8, 8), coarse_segm=charts().coarse_segm)
    )
    with_output, without = found(output), found(output)
    without.remove("pred_densepose")
    a, b = (draw_instances(image, each, scale=1, score_threshold=0.5) for each in (with_output, without))
    different = (a != b).any(axis=2)
    assert different[34:50, 10:46].mean() > 0.9  # twice as large as the instances say
    assert not different[:28].any()
    assert not different[:, 60:].any()
