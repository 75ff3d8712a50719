"""Every name of the reference's public interface is answered, or refused with a remedy."""

import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys

import pytest
from names import REFERENCE, REFUSED, REFUSED_MODULES

CASES = [(module, name) for module, names in REFERENCE.items() for name in names.split()]
ANSWERED = [(m, n) for m, n in CASES if n not in REFUSED.get(m, "").split()]


@pytest.mark.parametrize("module", REFERENCE)
def test_names_are_answered(module):
    loaded = importlib.import_module(module)
    for name in REFERENCE[module].split():
        if name not in REFUSED.get(module, "").split():
            value = getattr(loaded, name)
            assert value is not None or name.startswith("_"), name


@pytest.mark.parametrize("module", REFUSED)
def test_names_are_refused_with_a_remedy(module):
    loaded = importlib.import_module(module)
    for name in REFUSED[module].split():
        with pytest.raises(AttributeError, match=f"{name} is not part of .*: .{{15,}}"):
            getattr(loaded, name)
        with pytest.raises(ImportError, match=f"{name} is not part of .*: .{{15,}}"):
            exec(f"from {module} import {name}")


@pytest.mark.parametrize("module", REFUSED_MODULES)
def test_modules_are_refused_with_a_remedy(module):
    with pytest.raises(ModuleNotFoundError, match=f"{module} is not part of .*: .{{15,}}"):
        importlib.import_module(module)


def test_every_entry_of_the_table_leads_somewhere():
    from lazycfg.compat.detectron2.names import DETECTRON2, FVCORE, IOPATH

    for table in (DETECTRON2, FVCORE, IOPATH):
        for module, names in table.items():
            loaded = importlib.import_module(module)
            for name in loaded.__all__:
                assert name in names
                getattr(loaded, name)


def test_remedies_name_commands_and_options_that_exist():
    from lazycfg.cli.parser import command_names, options_of
    from lazycfg.compat.detectron2.names import DETECTRON2, FVCORE, IOPATH
    from lazycfg.compat.finder import Gone

    remedies = {
        answer.remedy
        for table in (DETECTRON2, FVCORE, IOPATH)
        for names in table.values()
        for answer in names.values()
        if isinstance(answer, Gone)
    }
    commands = [text.split() for remedy in remedies for text in re.findall("`lazycfg (.*?)`", remedy)]
    assert commands
    for command, *words in commands:
        assert command in command_names()
        assert {word for word in words if word.startswith("--")} <= set(options_of(command)), (command, words)


@pytest.mark.parametrize(
    "line",
    [
        "from detectron2.modeling import BACKBONE_REGISTRY, Backbone, ShapeSpec",
        "from detectron2.modeling.backbone.resnet import CNNBlockBase, Conv2d, get_norm",
        "from detectron2.modeling.roi_heads.roi_heads import Matcher, ROIPooler",
        "from detectron2.modeling.roi_heads.fast_rcnn import Box2BoxTransform, batched_nms",
        "from detectron2.engine.defaults import DetectionCheckpointer, PathManager, build_model",
        "from detectron2.data.build import check_metadata_consistency",
        "from fvcore.transforms import NoOpTransform, TransformList",
        "from fvcore.common.checkpoint import _IncompatibleKeys",
    ],
)
def test_names_that_a_module_has_for_its_own_use_are_answered(line):
    exec(line)


def test_a_function_hides_the_module_of_its_name():
    import detectron2.config.instantiate
    import detectron2.engine.launch
    from detectron2.engine import hooks, launch

    assert callable(detectron2.config.instantiate)
    assert callable(detectron2.engine.launch)
    assert launch is detectron2.engine.launch
    assert hooks.EvalHook


def test_a_star_import_and_a_dotted_import():
    space = {}
    exec("from detectron2.structures import *\nimport detectron2.data.transforms as T", space)
    from lazycfg.structures import Boxes

    assert space["Boxes"] is Boxes
    assert issubclass(space["T"].RandomFlip, space["T"].Augmentation)


def test_a_typing_mistake_is_told_with_the_nearest_name():
    import detectron2.structures

    with pytest.raises(AttributeError, match="did you mean 'Instances'"):
        _ = detectron2.structures.Instancse
    with pytest.raises(ModuleNotFoundError, match="did you mean 'structures'"):
        importlib.import_module("detectron2.structurs")
    for line in (
        "from detectron2.structures import Boxes, Instancse",
        "from detectron2.structures.instances import Instancse",  # a module without others below it
    ):
        with pytest.raises(ImportError, match=r"Instancse is not known.*did you mean 'Instances'"):
            exec(line)


def test_version_and_spec_are_found():
    assert __import__("detectron2.structures", fromlist=[""]).Boxes is not None
    assert importlib.metadata.version("detectron2") == "0.6"
    assert importlib.util.find_spec("detectron2") is not None
    import detectron2

    assert detectron2.__version__ == "0.6"


def _python(code, *arguments, cwd, **environment):
    import os

    return subprocess.run(
        [sys.executable, *arguments, *(["-c", code] if code else [])],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def test_nothing_is_switched_on_without_asking(tmp_path):
    done = _python("import lazycfg, lazycfg.compat\nimport detectron2", cwd=tmp_path)
    assert "No module named 'detectron2'" in done.stderr


@pytest.mark.slow
def test_detectron2_itself_wins(tmp_path):
    (tmp_path / "detectron2").mkdir()
    (tmp_path / "detectron2" / "__init__.py").write_text("REAL = True\n")
    code = (
        "import logging\nlogging.basicConfig()\nimport lazycfg.compat.detectron2, detectron2\n"
        "print(getattr(detectron2, 'REAL', False))"
    )
    done = _python(code, cwd=tmp_path)
    assert done.stdout.strip() == "True"
    assert "detectron2 itself is installed and is used" in done.stderr
    assert _python(code, cwd=tmp_path, LAZYCFG_COMPAT="force").stdout.strip() == "False"
    late = "import detectron2, lazycfg.compat.detectron2"
    assert "import lazycfg.compat.detectron2 before it" in _python(
        late, cwd=tmp_path, LAZYCFG_COMPAT="force"
    ).stderr  # fmt: skip


@pytest.mark.slow
def test_a_script_runs_unchanged(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        "import sys\nfrom detectron2.config import get_cfg\n"
        "print(__name__, sys.argv[1:], get_cfg().VERSION)\n"
    )
    for arguments in ([str(script)], ["-m", "program"]):
        done = _python("", "-m", "lazycfg.compat", *arguments, "--eval-only", cwd=tmp_path)
        assert done.stdout.split() == ["__main__", "['--eval-only']", "2"], done.stderr
    assert _python("", "-m", "lazycfg.compat", cwd=tmp_path).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [["program.py", "auto"], ["-m", "program", "file://meeting"]], ids=" ".join
)
def test_processes_that_a_program_launches_talk_to_each_other(tmp_path, program):
    (tmp_path / "program.py").write_text(
        "import sys\nfrom detectron2.engine import launch\nfrom detectron2.utils import comm\n"
        "def main(name):\n"
        "    ranks = comm.all_gather(comm.get_rank())\n"
        "    with open(f'{name}{comm.get_rank()}', 'w') as file:\n"
        "        print(ranks, comm.get_local_rank(), file=file)\n"
        "if __name__ == '__main__':\n"
        "    launch(main, 2, dist_url=sys.argv[1], args=('out',))\n"
    )
    program = [part.replace("file://", f"file://{tmp_path}/") for part in program]
    done = _python("", "-m", "lazycfg.compat", *program, cwd=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"out{i}").read_text() for i in range(2)] == [f"[0, 1] {i}\n" for i in range(2)]
