"""The report of a run: what is in it, and that nothing can break it or break out of it."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from run_folders import HOSTILE, make_run

from lazycfg.cli.main import main
from lazycfg.reporting import read_metrics, report_html, write_report

VOID = {"meta", "link", "img", "path", "line", "circle", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what matters."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.scripts, self.sources, self.texts = [], [], 0, [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.scripts += tag == "script"
        if tag == "section":
            self.sections.append(attributes["id"])
        assert not [name for name in attributes if name.startswith("on")]
        self.sources += [value for name, value in attributes.items() if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_everything_that_a_run_has_is_told(tmp_path):
    page = Page(report_html(make_run(tmp_path / "run")))
    assert page.sections == [
        "results", "curves", "classes", "precision-recall", "confusion", "mistakes", "images", "speed",
        "data", "config", "environment",
    ]  # fmt: skip
    shown = "".join(page.texts)
    for text in ("finished after 30 iterations", "31.25", "What differs from", "careful", "lazycfg train"):
        assert text in shown
    # Warnings that come again are told once
    assert shown.count("careful") == 1


def test_the_report_of_a_resumed_run_says_what_is_of_its_beginning(tmp_path):
    run = make_run(tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    record["starts"] *= 2
    (run / "run.json").write_text(json.dumps(record))
    shown = "".join(Page(report_html(run)).texts)
    for text in ("What differed from", "training with evaluations, but for starts that were killed or go on"):
        assert text in shown


def test_a_config_that_brings_code_is_trained_again_with_trust(tmp_path):
    run = make_run(tmp_path / "run")
    assert "ANOTHER_FOLDER --trusted" not in report_html(run)
    (run / "config.yaml").write_text("_source_: |2\n  def f(): pass\n_config_:\n  n: 1\n")
    assert "ANOTHER_FOLDER --trusted" in report_html(run)


def test_nothing_is_fetched_and_nothing_foreign_is_obeyed(tmp_path):
    text = report_html(make_run(tmp_path / "run"))
    page = Page(text)
    assert page.scripts == 1
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    assert "\x1b" not in text
    shown = "".join(page.texts)
    assert shown.count("<script>document.title='hacked'</script>") >= 8
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize(
    ("tasks", "without"),
    [
        (("bbox", "segm"), set()),
        (("bbox", "keypoints"), set()),
        (("sem_seg",), {"precision-recall", "mistakes"}),
        (("panoptic_seg",), {"precision-recall", "mistakes", "confusion"}),
    ],
)
def test_what_a_task_has_not_is_left_out(tmp_path, tasks, without):
    page = Page(report_html(make_run(tmp_path / "run", tasks=tasks)))
    possible = {"results", "classes", "precision-recall", "confusion", "mistakes"}
    assert possible - set(page.sections) == without


def test_classes_come_from_results_where_there_are_no_details(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "details.json").unlink()
    page = Page(report_html(folder))
    assert "classes" in page.sections
    assert not {"confusion", "mistakes", "precision-recall"} & set(page.sections)


@pytest.mark.parametrize(
    "left", ["config.yaml", "metrics.json", "results.json", "run.json", "details.json log.txt metrics.json"]
)
def test_a_run_with_few_files(tmp_path, left):
    folder = make_run(tmp_path / "run", end="")
    for file in folder.iterdir():
        if file.is_file() and file.name not in left:
            file.unlink()
    text = report_html(folder)
    Page(text)
    assert "could not be made" not in text


@pytest.mark.parametrize("name", ["run.json", "results.json", "details.json", "metrics.json", "log.txt"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe{", b"[1, 2]", b'{"tasks": 3, "starts": 4, "data": [], "config": "x"}', b"{" * 9],
)
def test_a_damaged_file_leaves_the_rest(tmp_path, name, content):
    folder = make_run(tmp_path / "run")
    (folder / name).write_bytes(content)
    page = Page(report_html(folder))
    assert {"config", "images"} <= set(page.sections)


def test_a_killed_run_tells_how_far_it_came(tmp_path):
    folder = make_run(tmp_path / "run", end="")
    with open(folder / "metrics.json", "a") as file:
        file.write('{"iteration": 31, "total_')
    text = report_html(folder)
    assert "not finished: running or killed, 30 of 30 iterations are known" in text
    assert "stopped by a signal (after 30 of 30" in report_html(
        make_run(tmp_path / "other", end="stopped by a signal")
    )
    assert len(read_metrics(folder / "metrics.json")) == 17


def test_images_are_small_and_not_from_elsewhere(tmp_path):
    folder = make_run(tmp_path / "run")
    content = json.loads((folder / "details.json").read_text())
    secret = tmp_path / "secret.jpg"
    secret.write_bytes((folder / "pictures" / "00000_a.jpg").read_bytes())
    content["images"]["worst"] = [
        {"file": "../secret.jpg", "image_id": 1, "quality": 0.5},
        {"file": str(secret), "image_id": 1, "quality": 0.5},
        {"file": "config.yaml", "image_id": 1, "quality": 0.5},
        {"file": "pictures/missing.jpg", "image_id": 1, "quality": 0.5},
    ]
    (folder / "details.json").write_text(json.dumps(content))
    text = report_html(folder)
    assert text.count("<img ") == 3
    assert "The worst" not in text


def test_a_page_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr("lazycfg.reporting.images._MOST_BYTES", 9000)
    text = report_html(make_run(tmp_path / "run"))
    assert 0 < text.count("<img ") < 5
    assert "more are in the folder" in text


def test_many_classes_and_steps(tmp_path):
    names = [f"class {i}" for i in range(1300)]
    folder = make_run(tmp_path / "run", names=names[:3])
    lines = [{"iteration": i, "total_loss": 1.0 + i % 7} for i in range(20_000)]
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "results.json").write_text(json.dumps({"bbox": {f"AP-{name}": 1.0 for name in names}}))
    (folder / "details.json").unlink()
    text = report_html(folder)
    assert text.count("<tr>") == 1301
    assert len(text) < 500_000


def test_the_command(tmp_path, capsys):
    folder = make_run(tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert main(["report", str(folder), "-o", str(tmp_path / "new" / "x.html")]) == 0
    assert (tmp_path / "new" / "x.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["report", str(tmp_path)]) != 0
    assert "is not the folder of a run: it has none of config.yaml" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) != 0
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["report", str(folder / "config.yaml")]) != 0
    assert "config.yaml is not the folder of a run: it is a file" in capsys.readouterr().err
    assert main(["report", str(folder), "-o", str(folder / "config.yaml" / "x.html")]) != 0
    assert "config.yaml/x.html: " in (said := capsys.readouterr().err)
    assert said.startswith("lazycfg: cannot write ")


def test_no_torch_is_needed(tmp_path):
    folder = make_run(tmp_path / "run")
    code = (
        "import sys; from lazycfg.cli import main; main(sys.argv[1:]); "
        "print({'torch', 'numpy', 'omegaconf'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("set()\n"), done.stdout


def test_a_page_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    folder = make_run(tmp_path / "run")
    path = write_report(folder)
    before = path.read_bytes()
    (folder / "results.json").unlink()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(folder)
    assert path.read_bytes() == before
    assert re.findall("partial", " ".join(file.name for file in folder.iterdir())) == []
    assert HOSTILE not in before.decode()
