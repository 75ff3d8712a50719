"""`lazycfg graph`: a config as boxes, as SVG and as a page."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, LazyPartial
from lazycfg.config.errors import CycleError
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.graph import boxes_of, place
from lazycfg.inspection.graph_drawing import to_html, to_svg

SVG = "{http://www.w3.org/2000/svg}"


def make(*args, **kwargs):
    pass


@pytest.fixture
def cfg():
    shared = L(make)(x=1)
    return to_nodes(
        {
            "model": L(make)(a=shared, b=[L(make)(y="???"), 3, L(make)()], size=(1, 2), n="${train.amp.on}"),
            "ema": shared,
            "optimizer": L(make)(params=L(make)(model="${model}"), fn=LazyPartial(make)(k=2)),
            "train": {"steps": 10, "amp": {"on": True}, "text": "<b>&'\"" + "x" * 100},
        }
    )


def lines_of(box):
    return {line.key: line for line in box.lines}


def test_boxes(cfg):
    graph = boxes_of(cfg, title="cfg.py")
    root = graph.boxes[0]
    assert root.title == "cfg.py"
    assert list(lines_of(root)) == [
        *("model", "ema", "optimizer", "train.steps", "train.amp.on", "train.text"),
    ]
    model = lines_of(root)["model"].child
    assert (model.title, model.group) == ("make", "test_graph")
    assert list(lines_of(model)) == ["a", "b[0]", "b[1]", "b[2]", "size", "n"]
    assert lines_of(model)["n"].text == "'${train.amp.on}' = True"
    assert lines_of(lines_of(model)["b[0]"].child)["y"].kind == "required"
    assert "test_graph.py:" in model.hint
    assert lines_of(lines_of(root)["optimizer"].child)["fn"].child.title == "make (partial)"


def test_sharing_is_an_edge_to_the_first_box(cfg):
    graph = boxes_of(cfg)
    root = lines_of(graph.boxes[0])
    model = root["model"].child
    shared = lines_of(model)["a"].child
    assert root["ema"].shared is shared
    assert root["ema"].text == "model.a"
    params = lines_of(root["optimizer"].child)["params"].child
    assert lines_of(params)["model"].shared is model
    assert {box.mark for box in graph.boxes} == {0, 1, 2}
    assert shared.mark != model.mark


def test_depth(cfg):
    assert len(boxes_of(cfg, max_depth=0).boxes) == 1
    graph = boxes_of(cfg, max_depth=1)
    assert {box.depth for box in graph.boxes} == {0, 1}
    assert lines_of(lines_of(graph.boxes[0])["model"].child)["a"].text == "..."


def test_who_set_a_value(cfg):
    LazyConfig.apply_overrides(cfg, ["train.steps=5"])
    line = lines_of(boxes_of(cfg).boxes[0])["train.steps"]
    assert (line.text, line.who) == ("5", "override 1 'train.steps=5'")


def test_svg(cfg):
    text = to_svg(cfg, title="a <config>")
    assert text == to_svg(cfg, title="a <config>")
    root = ET.fromstring(text)
    assert len(root.findall(f".//{SVG}g[@class='x']")) == 8
    assert len(root.findall(f".//{SVG}path[@class='e']")) == 7
    assert len(root.findall(f".//{SVG}path[@class='h']")) == 2
    shown = "".join(root.itertext())
    assert "a <config>" in shown
    assert "'<b>&" in shown
    assert not re.search(r"(?:href|src)=|url\(|https?://(?!www\.w3\.org/2000/svg)", text)


def test_page(cfg):
    text = to_html(cfg, title="cfg.py", max_depth=1)
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text)[1])
    assert data["depth"] == 1
    assert len(data["boxes"]) == 8
    svg = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    signs = svg.findall(f".//{SVG}g[@class='o']")
    assert [int(sign.get("data-i")) for sign in signs] == [
        i for i, box in enumerate(data["boxes"]) if box["c"]
    ]
    for index, box in enumerate(data["boxes"]):
        assert svg.find(f".//{SVG}g[@id='b{index}']") is not None
        for child, _ in box["c"]:
            assert svg.find(f".//{SVG}path[@id='e{child}']") is not None
    assert text == to_html(cfg, title="cfg.py", max_depth=1)


def test_text_cannot_leave_its_place():
    evil = "</script><script>alert(1)</script>\x00\ud800"
    cfg = to_nodes({evil: evil, "a": L(make)(x=evil)})
    ET.fromstring(to_svg(cfg, title=evil))
    assert to_html(cfg, title=evil).count("</script>") == 2


def test_a_circle_is_refused():
    node = L(make)()
    node.x = node
    with pytest.raises(CycleError):
        to_svg(node)


def test_a_deep_config():
    node = L(make)(x=1)
    for _ in range(500):
        node = L(make)(x=[node])
    assert to_svg(node).count('class="x"') == 101


VALUES = st.recursive(
    st.integers() | st.text(max_size=8) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
        | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4).map(lambda kw: L(make)(**kw))
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=5))
def test_no_box_lies_on_another_and_each_lies_right_of_its_holder(values):
    cfg = to_nodes(values)
    graph = boxes_of(cfg)
    place(graph)
    for box in graph.boxes:
        for child in box.children():
            assert child.x >= box.x + box.width
            assert child.y >= 0
    for first in graph.boxes:
        for second in graph.boxes[first.index + 1 :]:
            apart_x = first.x + first.width <= second.x or second.x + second.width <= first.x
            apart_y = first.y + first.height <= second.y or second.y + second.height <= first.y
            assert apart_x or apart_y
    ET.fromstring(to_svg(cfg))


def test_colours_are_written_out_for_what_is_no_browser():
    svg = to_svg(L(dict)(a=L(dict)(b=L(dict)(c=1)), x="???"))
    assert "var(" not in svg
    assert "hsl(" not in svg
    classes = set(re.findall(r'class="([a-z0-9]+)"', svg)) - {"lzg", "x", "v"}
    style = svg[svg.index("<style>") : svg.index("</style>")]
    assert {
        name for name in classes if not re.search(rf"\.{name}\b[^{{]*{{[^}}]*(?:fill|stroke):#", style)
    } == set()


def test_boxes_have_room_for_letters_of_double_width():
    def width(text):
        graph = boxes_of(to_nodes({"a": L(make)(x=text)}))
        return graph.boxes[1].width

    assert width("\u540d\u524d" * 10) == width("ab" * 20)
    assert width("\u00e9" * 20) == width("e" * 20)
