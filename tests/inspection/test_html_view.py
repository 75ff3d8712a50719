"""What a notebook shows of a config."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, LazyPartial, Node
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.html_view import html_tree

VOID = {"br", "hr", "img", "meta", "link", "input"}


class Net:
    """A <net> of layers.

    Args:
        width: how wide "it" is & how <b>bold</b>.
        inner: a part.
    """

    def __init__(self, width: int, inner=None, depth: int = 3):
        pass


class Page(HTMLParser):
    """Tags and attributes; asserts that every tag is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def cfg():
    shared = L(Net)(width=1)
    return to_nodes(
        {
            "model": L(Net)(width="???", inner=[shared, L(Net)(width="${lr}", inner=L(Net)(width=2))]),
            "again": shared,
            "lr": 0.5,
            "part": LazyPartial(Net)(width=7),
        }
    )


def test_a_node_shows_itself(cfg):
    page = Page(cfg._repr_html_())
    assert "width: REQUIRED" in page.text
    assert "'${lr}' = 0.5" in page.text
    assert "test_html_view.py:" in page.text
    assert len(page.of("details")) > 5
    assert not page.of("script")
    assert not re.search(r"https?:|url\(|@import", cfg._repr_html_())
    assert cfg.model._repr_html_().count("<table>") == 4


def test_docs_of_arguments(cfg):
    page = Page(html_tree(cfg))
    hints = [a["title"] for a in page.of("span") if a.get("class") == "lz-key" and "title" in a]
    assert any(
        h.startswith('width: int, of Net\nrequired\nhow wide "it" is & how <b>bold</b>') for h in hints
    )
    assert "Net takes 3 arguments, 2 not given" in page.text
    assert "default 3" in page.text
    assert not Page(html_tree(cfg, docs=False)).of("table")


def test_shared_nodes_link_to_their_first_place(cfg):
    page = Page(html_tree(cfg, prefix="p"))
    targets = {a["id"] for _, a in page.tags if "id" in a}
    links = [a["href"] for a in page.of("a")]
    assert links == ["#p-1"]
    assert targets == {"p-1"}
    assert "*1 model.inner.0" in page.text


def test_who_set_a_value(cfg):
    LazyConfig.apply_overrides(cfg, ["lr=2"])
    cfg.model.inner[1].width = 9
    page = Page(html_tree(cfg))
    assert "lr: 2set: override 1 'lr=2'" in page.text
    assert re.search(r"width: 9set: test_html_view\.py:\d+", page.text)


def test_two_outputs_of_one_page_do_not_share_ids(cfg):
    ids = [re.findall(r'id="([^"]+)"', html_tree(cfg)) for _ in range(2)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    assert html_tree(cfg, prefix="x") == html_tree(cfg, prefix="x")


def test_large_configs_are_cut():
    cfg = Node(parts=[L(Net)(width=n) for n in range(5000)])
    text = html_tree(cfg)
    assert "more rows: show a part of it" in text
    assert len(text) < 3_000_000


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text(), max_size=2), max_size=4))
def test_whatever_stands_in_a_config_is_escaped(values):
    values = {key: value for key, value in values.items() if key not in ("_target_", "_args_", "_partial_")}
    cfg = to_nodes({"a": dict(values), **values})
    page = Page(html_tree(cfg))
    assert {name for name, _ in page.tags} <= {"div", "style", "span", "details", "summary"}


def test_nothing_of_a_config_becomes_a_tag():
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>"
    Evil = type("Evil", (), {"__doc__": evil, "__init__": lambda self, a=evil: None, "__qualname__": evil})
    text = html_tree(Node({evil: evil, "b": L(Evil)(a=[evil])}))
    assert "<script" not in text
    assert "<img" not in text
    assert evil in unescape(text)
