"""Pix3D's files, the mapper, and the evaluator."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from lazycfg.data import ImageError
from lazycfg.data import transforms as T
from lazycfg.data.datasets.coco_validation import AnnotationError
from lazycfg.layers import ico_sphere
from lazycfg.projects.meshrcnn import (
    MeshInstances,
    Pix3DDataset,
    Pix3DEvaluator,
    Pix3DMapper,
    compare_meshes,
    crop_meshes,
    meshes_before_camera,
)
from lazycfg.projects.meshrcnn.evaluation import average_precision
from lazycfg.projects.meshrcnn.pix3d import camera_points, load_mesh, load_voxels
from lazycfg.projects.meshrcnn.render import render_mesh
from lazycfg.structures import Boxes, Instances, Meshes, MeshFileError


@pytest.fixture
def dataset(data_root):
    root = data_root / "solids"
    return Pix3DDataset(json_file=root / "solids_test.json", image_root=root)


@pytest.fixture
def own_root(data_root, tmp_path):
    """A copy of the files that may be changed."""
    return Path(shutil.copytree(data_root / "solids", tmp_path / "solids"))


def change(root, **values):
    """Write other values into the first annotation."""
    path = root / "solids_test.json"
    data = json.loads(path.read_text())
    data["annotations"][0].update(values)
    path.write_text(json.dumps(data))
    return path


def test_records(dataset, data_root):
    assert len(dataset) == 4
    assert dataset.metadata.thing_classes == ("block", "wedge", "cylinder", "steps")
    (annotation,) = dataset[1]["annotations"]
    assert annotation["category_id"] == 1
    assert annotation["mask_file"] == str(data_root / "solids" / "mask" / "test_00001.png")
    assert np.shape(annotation["rot_mat"]) == (3, 3)
    assert "segmentation" not in annotation
    assert len(pickle.loads(pickle.dumps(dataset))) == 4


def test_images_can_be_left_out(data_root):
    root = data_root / "solids"
    fewer = Pix3DDataset(
        json_file=root / "solids_test.json", image_root=root, ignore_images=["img/test_00002.png"]
    )
    assert [fewer[i]["image_id"] for i in range(len(fewer))] == [0, 1, 3]
    assert len(fewer.image_sizes) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "model/none.obj"}, "model: no file 'model/none.obj'"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "segmentation must be the path"),
        ({"voxel": None}, "voxel must be the path"),
        ({"K": [0.0, 32, 32]}, "K must be numbers"),
        ({"rot_mat": [[1, 0], [0, 1]]}, "rot_mat must be 3 x 3 numbers"),
        ({"trans_mat": [0, 0, float("nan")]}, "trans_mat must be 3 numbers"),
    ],
)
def test_annotations_that_cannot_be_right(own_root, values, message):
    path = change(own_root, **values)
    with pytest.raises(AnnotationError, match=f"solids_test.json.*annotation 0.*{message}"):
        Pix3DDataset(json_file=path, image_root=own_root)
    skipping = Pix3DDataset(json_file=path, image_root=own_root, on_error="skip")
    assert skipping[0]["annotations"] == []
    assert sum(skipping.problems.values()) == 1


def test_voxels_lie_in_their_mesh(dataset):
    trimesh = pytest.importorskip("trimesh")
    for i in range(4):
        (annotation,) = dataset[i]["annotations"]
        verts, faces = load_mesh(annotation["model"])
        points = load_voxels(annotation["voxel"])
        solid = trimesh.Trimesh(verts.numpy() * 1.08, faces.numpy(), process=False)
        # the farthest cell, half a cell inside of the corner, is at 0.5, where the mesh's corner is
        sides = (points.amax(0) - points.amin(0)) / (verts.amax(0) - verts.amin(0))
        assert ((sides > 0.9) & (sides < 1.1)).all()
        inside = np.abs(solid_winding(solid, points[::97].numpy())) > 0.5
        assert inside.mean() > 0.99


def solid_winding(mesh, points):
    """How often a closed mesh winds around each point: the solid angles of its triangles / 4 pi."""
    a, b, c = (mesh.triangles[None, :, i] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
    det = (a * np.cross(b, c)).sum(2)
    rest = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return np.arctan2(det, rest).sum(1) / (2 * np.pi)


def test_files_that_are_no_shapes(tmp_path):
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    savemat(tmp_path / "empty.mat", {"voxel": np.zeros((3, 3, 3))})
    (tmp_path / "text.mat").write_text("no")
    for name in ("other", "empty", "text"):
        with pytest.raises(MeshFileError, match=f"{name}.mat"):
            load_voxels(str(tmp_path / f"{name}.mat"))
    with pytest.raises(FileNotFoundError, match=r"none\.mat"):
        load_voxels(str(tmp_path / "none.mat"))
    (tmp_path / "a.obj").write_text("v 0 0 0\n")
    with pytest.raises(MeshFileError, match="no faces"):
        load_mesh(str(tmp_path / "a.obj"))


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert len(load_mesh(str(path))[0]) == 3
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 2 2 2\nf 1 2 3\n")
    assert len(load_mesh(str(path))[0]) == 4


# ---------------------------------------------------------------- mapper


AUGMENTATIONS = {
    "none": [],
    "flipped": [T.HFlipTransform(64)],
    "resized": [T.ResizeTransform(64, 64, 96, 80)],
    "both": [T.ResizeTransform(64, 64, 48, 100), T.HFlipTransform(100)],
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shapes_follow_the_pixels(dataset, name):
    """Drawn by the camera of the mapper, the mesh covers the augmented mask."""
    mapped = Pix3DMapper(is_train=True, augmentations=AUGMENTATIONS[name])(dataset[3])
    x = mapped["instances"]
    height, width = x.image_size
    assert mapped["image"].shape[1:] == (height, width)
    focal, px, py = x.gt_K[0].tolist()
    assert (px, py) == (width / 2, height / 2)
    assert focal == pytest.approx(1.2 * 64)  # which stays
    ((verts, faces),) = x.gt_meshes
    seen = render_mesh(verts, faces, focal, (height, width)).face >= 0
    mask = x.gt_masks.tensor[0]
    assert (seen & ~mask).sum() < 0.02 * seen.sum()
    assert (mask & ~seen).sum() < 0.2 * seen.sum()  # masks are larger by the pixels they touch
    near, far = verts[:, 2].min(), verts[:, 2].max()
    extent = (far - near) / ((far + near) / 2) * focal * height / 64
    assert x.gt_dz.item() == pytest.approx(extent.item(), rel=1e-5)
    (points,) = x.gt_voxels
    low, high = verts.amin(0), verts.amax(0)
    assert ((points > low - 0.1) & (points < high + 0.1)).all()
    # in its own box it fills the cube from side to side
    box = crop_meshes(x.gt_meshes.meshes(), x.gt_boxes.tensor, x.gt_K).get_bounding_boxes()[0]
    assert (box[:, 0] + 1).abs().max() < 0.12
    assert (box[:, 1] - 1).abs().max() < 0.12


def test_what_the_mapper_refuses(dataset, own_root):
    with pytest.raises(ValueError, match="CropTransform"):
        Pix3DMapper(is_train=True, augmentations=[T.CropTransform(0, 0, 60, 60, 64, 64)])(dataset[0])
    with pytest.raises(ValueError, match="use_instance_mask"):
        Pix3DMapper(is_train=True, use_instance_mask=True)
    record = dataset[0]
    del record["annotations"][0]["K"]
    with pytest.raises(ValueError, match=r"image_id 0.*annotation 0 has no 'K'"):
        Pix3DMapper(is_train=True)(record)
    path = change(own_root, trans_mat=[0, 0, -2.0], segmentation="mask/test_00001.png")
    behind = Pix3DDataset(json_file=path, image_root=own_root)
    with pytest.raises(ValueError, match="annotation 0: the object begins at depth"):
        Pix3DMapper(is_train=True)(behind[0])
    shutil.copy(own_root / "img/test_00000.png", own_root / "small.png")
    from PIL import Image

    Image.new("L", (5, 5)).save(own_root / "small.png")
    path = change(own_root, trans_mat=[0, 0, 2.0], segmentation="small.png")
    with pytest.raises(ImageError, match=r"the mask .* is 5x5"):
        Pix3DMapper(is_train=True)(Pix3DDataset(json_file=path, image_root=own_root)[0])


def test_images_without_objects_have_the_same_fields(dataset):
    mapper = Pix3DMapper(is_train=True)
    full = mapper(dataset[0])["instances"]
    empty = mapper({**dataset[0], "annotations": []})["instances"]
    assert list(empty.get_fields()) == list(full.get_fields())
    assert len(empty) == 0
    assert "gt_voxels" not in Pix3DMapper(is_train=True, use_voxels=False)(dataset[0])["instances"]
    assert "instances" not in Pix3DMapper(is_train=False)(dataset[0])


def test_the_loader_takes_it(cfg):
    from lazycfg import instantiate

    batch = next(iter(instantiate(cfg.dataloader.train)))
    assert all(len(x["instances"].gt_meshes) == 1 for x in batch)


# ---------------------------------------------------------------- metrics


def test_comparison_of_meshes():
    torch.manual_seed(0)
    sphere = ico_sphere(3)
    pair = Meshes.cat([sphere, sphere.scale_verts(1.1)])
    empty = Meshes([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.int64)])
    got = compare_meshes(
        Meshes.cat([pair, empty]), sphere.extend(3), num_samples=4000, thresholds=[0.1, 0.4, 0.6]
    )
    assert got["F1@0.400000"][0] == pytest.approx(100, abs=1)
    assert got["Chamfer-L2"][0] < 0.1
    # the truth is scaled from a diameter of 2 to 10, so the larger sphere is 0.5 outside of it
    assert got["Chamfer-L2"][1] == pytest.approx(0.5, rel=0.15)
    assert got["F1@0.400000"][1] == 0
    assert got["F1@0.600000"][1] == pytest.approx(100, abs=5)
    assert got["NormalConsistency"][1] > 0.95
    assert got["Chamfer-L2"][2].isinf()
    assert got["F1@0.600000"][2] == 0
    inside_out = Meshes([sphere.verts_packed()], [sphere.faces_packed().flip(1)])
    turned = compare_meshes(inside_out, sphere, num_samples=500, scale=0.57)
    assert turned["NormalConsistency"].item() == pytest.approx(-turned["AbsNormalConsistency"].item())
    for bad in ("gt-x", "other-10", "gt-0"):
        with pytest.raises(ValueError, match="scale"):
            compare_meshes(sphere, sphere, scale=bad)
    with pytest.raises(ValueError, match="2 predicted"):
        compare_meshes(pair, sphere)
    with pytest.raises(ValueError, match="true mesh 0 has no faces"):
        compare_meshes(sphere, empty)


def test_average_precision_of_a_curve_by_hand():
    scores, right = np.array([0.9, 0.3, 0.8, 0.7]), np.array([True, True, False, True])
    # right at ranks 1, 3 and 4: precision 1, 2/3 -> 3/4 (the best of a higher recall), 3/4
    assert average_precision(scores, right, 4) == pytest.approx((1 + 0.75 + 0.75) / 4)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0
    assert average_precision(scores, np.zeros(4, dtype=bool), 3) == 0


def perfect(record, label=None, score=0.9, height=64):
    """A detection that is the truth itself."""
    x = Pix3DMapper(is_train=True)(record)["instances"]
    found = Instances(x.image_size, pred_boxes=x.gt_boxes, scores=torch.tensor([score]))
    found.pred_classes = x.gt_classes if label is None else torch.tensor([label])
    found.pred_masks = x.gt_masks.tensor
    boxes = x.gt_boxes.tensor
    found.pred_dz = (x.gt_dz / (boxes[:, 3] - boxes[:, 1]))[:, None]
    found.pred_meshes = MeshInstances.from_meshes(crop_meshes(x.gt_meshes.meshes(), boxes, x.gt_K))
    return found


def evaluate(dataset, outputs):
    evaluator = Pix3DEvaluator(dataset=dataset, num_samples=1000)
    evaluator.reset()
    for i, found in outputs:
        evaluator.process([{"image_id": dataset[i]["image_id"]}], [{"instances": found}])
    return evaluator.evaluate()["shape"]


def test_the_truth_is_right_in_everything(dataset):
    results = evaluate(dataset, [(i, perfect(dataset[i])) for i in range(4)])
    assert {results[f"{kind}_ap@0.5"] for kind in ("box", "mask", "mesh")} == {100.0}
    assert results["mesh_ap@0.5 - wedge"] == 100.0


def test_a_mesh_put_back_is_the_mesh(dataset):
    found = perfect(dataset[2])
    (annotation,) = dataset[2]["annotations"]
    verts, faces = load_mesh(annotation["model"])
    truth = Meshes([camera_points(verts, annotation)], [faces])
    near, far = truth.get_bounding_boxes()[0, 2].tolist()
    seen = (found.pred_meshes.meshes(), found.pred_boxes.tensor, found.pred_dz)
    placed = meshes_before_camera(*seen, annotation["K"][0], (64, 64), (near + far) / 2)
    torch.testing.assert_close(placed.verts_packed(), truth.verts_packed(), rtol=1e-3, atol=1e-4)


def test_each_kind_of_mistake_counts_where_it_is_one(dataset):
    outputs = [perfect(dataset[i]) for i in range(4)]
    outputs[0].pred_meshes = MeshInstances.from_meshes(ico_sphere(0).scale_verts(0.1))  # a wrong mesh
    outputs[1].pred_masks = torch.zeros_like(outputs[1].pred_masks)  # a wrong mask
    outputs[2] = perfect(dataset[2], label=3)  # a wrong class, which spoils class 3 if it scores higher
    outputs[2].scores[:] = 0.95
    outputs[3] = Instances.cat([perfect(dataset[3], score=0.8), outputs[3]])  # found twice
    results = evaluate(dataset, list(enumerate(outputs)))
    assert results["mesh_ap@0.5 - block"] == 0
    assert results["mask_ap@0.5 - block"] == 100
    assert results["mask_ap@0.5 - wedge"] == 0
    assert results["mesh_ap@0.5 - wedge"] == 100
    assert results["box_ap@0.5 - cylinder"] == 0
    assert results["box_ap@0.5 - steps"] == pytest.approx(50)
    assert results["box_ap@0.5"] == pytest.approx((100 + 100 + 0 + 50) / 4)


def test_detections_elsewhere_and_none(dataset):
    away = perfect(dataset[0])
    away.pred_boxes = Boxes(torch.tensor([[0.0, 0, 3, 3]]))
    results = evaluate(dataset, [(0, away), (1, perfect(dataset[1])[:0])])
    assert results["box_ap@0.5"] == 0
    bare = perfect(dataset[1])
    bare.remove("pred_meshes")
    bare.remove("pred_masks")
    results = evaluate(dataset, [(1, bare)])  # a sphere in place of the mesh
    assert results["box_ap@0.5 - wedge"] == 100
    assert results["mask_ap@0.5 - wedge"] == 0
    nowhere = perfect(dataset[1])
    nowhere.remove("pred_dz")
    with pytest.raises(ValueError, match="z_head"):
        evaluate(dataset, [(1, nowhere)])
    empty_mesh = perfect(dataset[1])
    empty_mesh.pred_meshes = MeshInstances([(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))])
    assert evaluate(dataset, [(1, empty_mesh)])["box_ap@0.5 - wedge"] == 100
    assert Pix3DEvaluator(dataset=dataset).evaluate() == {}
