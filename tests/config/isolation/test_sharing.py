"""Files of one load share what they import, but for those that edit it behind the back of others."""

import itertools

import pytest

from lazycfg.config.lazy import LazyConfig

HEAD = "from lazycfg import LazyCall as L\n"


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(HEAD + text)
    return folder


@pytest.fixture
def family(tmp_path):
    return write(
        tmp_path,
        parts="stem = L(dict)(width=64)\n",
        plain="from .parts import stem\nmodel = L(dict)(stem=stem, norm='BN', heads=[1, 2])\n",
        gn="from .plain import model\nmodel.norm = 'GN'\n",
        deep="from .gn import model\nmodel.stem.width = 32\n",
        listed="from .plain import model\nmodel.heads.append(3)\n",
        keyed="from . import plain\nplain.model['norm'] = 'LN'\nmodel = plain.model\n",
        used="from .plain import model\nn = model.heads\n",
    )


EXPECTED = {
    "plain": ("BN", [1, 2], 64),
    "gn": ("GN", [1, 2], 64),
    "deep": ("GN", [1, 2], 32),
    "listed": ("BN", [1, 2, 3], 64),
    "keyed": ("LN", [1, 2], 64),
}


@pytest.mark.parametrize("order", list(itertools.permutations(EXPECTED, 3)))
def test_each_file_gives_what_it_says_in_any_order(family, order):
    lines = "".join(f"from .{name} import model as {name}\n" for name in order)
    write(family, c=lines)
    cfg = LazyConfig.load(family / "c.py")
    for name in order:
        model = cfg[name]
        assert (model.norm, model.heads, model.stem.width) == EXPECTED[name], name
    for one, two in itertools.combinations(order, 2):
        assert cfg[one] is not cfg[two]


def test_the_same_file_by_two_ways_is_one_object(family):
    write(family, c="from .plain import model\nfrom .used import model as again, n\nmodel.norm = 'SyncBN'\n")
    cfg = LazyConfig.load(family / "c.py")
    assert cfg.model is cfg.again
    assert cfg.n is cfg.model.heads
    assert cfg.again.norm == "SyncBN"


def test_an_editor_with_its_own_run_shares_all_else(family):
    write(
        family,
        data="dataset = L(dict)(n=1)\n",
        editor="from .data import dataset\nfrom .plain import model\nmodel.dataset = dataset\n",
        c="from .data import dataset\nfrom .editor import model\nfrom .plain import model as plain\n",
    )
    cfg = LazyConfig.load(family / "c.py")
    assert cfg.model.dataset is cfg.dataset
    assert cfg.plain is not cfg.model
    assert "dataset" not in cfg.plain


def test_an_error_that_comes_from_the_edits_of_another_file_goes_away(family):
    write(
        family,
        pops="from .plain import model\ndel model.norm\n",
        sets="from .plain import model\nmodel.norm = model.norm + '!'\n",
        c="from .pops import model as popped\nfrom .sets import model\n",
    )
    cfg = LazyConfig.load(family / "c.py")
    assert "norm" not in cfg.popped
    assert cfg.model.norm == "BN!"


def test_packages_and_the_model_zoo(tmp_path):
    write(
        tmp_path,
        teacher_first="from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model as teacher\n"
        "from lazycfg.model_zoo.common.models.mask_rcnn_fpn_gn import model as student\n",
        student_first="from lazycfg.model_zoo.common.models.mask_rcnn_fpn_gn import model as student\n"
        "from lazycfg.model_zoo.common.models import mask_rcnn_fpn\nteacher = mask_rcnn_fpn.model\n",
        keypoints="from lazycfg.model_zoo.common.models.keypoint_rcnn_fpn import model as keypoints\n"
        "from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import model\n"
        "model.roi_heads.keypoint_head = keypoints.roi_heads.keypoint_head\n",
    )
    plain = LazyConfig.load(tmp_path / "teacher_first.py")
    assert LazyConfig.load(tmp_path / "student_first.py") == plain
    assert plain.teacher is not plain.student
    assert plain.teacher == LazyConfig.load(tmp_path / "teacher_first.py", "teacher")
    assert "norm" not in plain.teacher.backbone
    assert plain.student.backbone.norm == "GN"
    roi_heads = LazyConfig.load(tmp_path / "keypoints.py").model.roi_heads
    assert {"mask_head", "keypoint_head"} <= roi_heads.keys()
