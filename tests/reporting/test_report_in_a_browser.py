"""The report as a browser shows it."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from run_folders import make_run

from lazycfg.evaluation import to_json
from lazycfg.reporting import write_report

sys.path.append(str(Path(__file__).parents[1] / "evaluation"))
import small_cases

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open the report of a run; returns the page and what went wrong on it."""
    pages = []

    def call(width=1280, scheme="light", details=None, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or problems.append(r.url))
        folder = make_run(tmp_path / "run", **options)
        if details is not None:
            whole = json.loads((folder / "details.json").read_text())
            (folder / "details.json").write_text(to_json(whole | {"tasks": details}))
        page.goto(write_report(folder).as_uri())
        return page, problems

    yield call
    for page in pages:
        page.close()


def column(page, index):
    return page.locator("table.classes").first.evaluate(
        "(table, i) => [...table.tBodies[0].rows].map(row => row.cells[i].textContent)", index
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_and_fits(opened, width, scheme):
    page, problems = opened(width, scheme, tasks=("bbox", "segm", "sem_seg"))
    assert not problems
    assert page.title() == "run"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    sizes = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth])")
    assert len(sizes) == 5
    assert all(complete and size >= 300 for complete, size in sizes)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) / 3
    assert brightness < 60 if scheme == "dark" else brightness > 200
    lines = page.evaluate("[...document.querySelectorAll('.chart .l')].map(l => getComputedStyle(l).stroke)")
    assert lines
    assert "none" not in lines


def test_tables_are_sorted_by_a_click(opened):
    page, problems = opened()
    head = page.locator("table.classes").first.locator("th button")
    assert column(page, 1) == ["5", "4", "3"]
    head.nth(1).click()
    assert column(page, 1) == ["5", "4", "3"]
    head.nth(1).click()
    assert column(page, 1) == ["3", "4", "5"]
    # What has no number comes last, whichever way
    head.nth(2).click()
    assert column(page, 2) == ["21.00", "10.50", "-"]
    head.nth(2).click()
    assert column(page, 2) == ["10.50", "21.00", "-"]
    head.nth(0).focus()
    page.keyboard.press("Enter")
    assert column(page, 0)[1:] == ["circle", "square"]
    assert not problems


def test_the_pointer_reads_a_curve(opened):
    page, problems = opened()
    chart = page.locator("figure.chart").first
    value = chart.locator(".legend b").first
    last = value.text_content()
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + 0.125 * box["width"], box["y"] + box["height"] / 2)
    assert chart.locator(".x").text_content() == "at 0"
    assert value.text_content() == "2.1"
    page.mouse.move(0, 0)
    assert value.text_content() == last
    assert not problems


def test_links_lead_to_sections(opened):
    page, _ = opened()
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


def cells(page, section, task):
    """The names and the rows of the matrix of a task, as they are read."""
    card = page.locator(f"#{section} .card", has=page.get_by_role("heading", name=task, exact=True))
    rows = card.locator("table.matrix tbody tr")
    return {row.locator("th").text_content(): row.locator("td").all_text_contents() for row in rows.all()}


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]
)
def test_curves_and_confusion_of_other_evaluators(opened, tmp_path, width, scheme):
    evaluators = [
        small_cases.voc(),
        small_cases.cityscapes_instances(tmp_path / "instances"),
        small_cases.cityscapes_sem_seg(tmp_path / "pixels"),
    ]
    details = {task: found for each in evaluators for task, found in each.details()[0].items()}
    page, problems = opened(width, scheme, tasks=tuple(details), details=details)
    assert not problems
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("#precision-recall figure.chart").count() == 2
    legend = page.locator("#precision-recall .legend").first.locator("li").all_text_contents()
    assert [name.strip() for name in legend] == ["mean of the classes", "aeroplane", "bicycle", "bird"]
    assert cells(page, "confusion", "Boxes") == {
        "aeroplane": ["2", "", "", ""],
        "bicycle": ["", "1", "", ""],
        "bird": ["", "1", "", ""],
        "background": ["2", "", "1", ""],
    }
    of_pixels = cells(page, "confusion", "Semantic segmentation")
    assert len(of_pixels) == 19
    assert [text for text in of_pixels["car"] if text] == ["600", "600"]
    # A name is not broken into letters where the page is narrow, and all rows are seen with the names above
    rows = page.evaluate("[...document.querySelectorAll('.matrix tbody tr')].map(row => row.offsetHeight)")
    assert max(rows) < 40
    boxes = page.evaluate(
        "[...document.querySelectorAll('#confusion .scroll')].map(b => b.scrollHeight - b.clientHeight)"
    )
    assert boxes == [0, 0, 0]
    assert page.locator("#mistakes .card").count() == 2
    assert column(page, 0) == ["aeroplane", "bicycle", "bird"]
