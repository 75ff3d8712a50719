"""What `doc_pages.py` finds wrong with a page."""

import pytest
from doc_pages import read_blocks, run_page, runs_commands

PAGE = """
Text.

<!-- test: run
from pathlib import Path
Path("there.txt").write_text("here")
-->

```python
name = "there.txt"
print(open(name).read())
```

```text
here
```

```python title="a/b.py"
print("in the file")
```

- in a list

  ```console
  $ python a/b.py
  in the ...
  $ echo one \\
      two
  one two
  ```

<!-- test: skip it takes hours -->
```bash
false
```

<!-- test: status 3 -->
<!-- test: add 3 -->
```bash
exit
```
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_page_that_is_right(folder):
    run_page(PAGE, "page.md", folder)
    assert runs_commands(PAGE)
    assert [block.language for block in read_blocks(PAGE)] == [
        "prepare", "python", "text", "python", "console", "bash", "bash",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("```text\nhere", "```text\nnot here", "page.md:14: the page says"),
        ("in the ...", "in a ...", "page.md:24: the page says"),
        ("one two\n", "one three\n", "one two"),
        ("<!-- test: skip it takes hours -->\n", "", "ended with 1"),
        ("<!-- test: status 3 -->\n", "", "ended with 3"),
        ("<!-- test: add 3 -->\n", "", "ended with 0"),
        ('print("in the file")', "raise SystemExit(1)", "ended with 1"),
    ],
)
def test_a_page_that_is_wrong(folder, right, wrong, message):
    assert right in PAGE
    with pytest.raises(AssertionError) as error:
        run_page(PAGE.replace(right, wrong), "page.md", folder)
    assert message in str(error.value)


def test_an_error_of_a_block_names_its_line(folder):
    with pytest.raises(ZeroDivisionError) as error:
        run_page("text\n\n```python\na = 1\na / 0\n```\n", "page.md", folder)
    assert error.traceback[-1].lineno == 4  # counted from 0
