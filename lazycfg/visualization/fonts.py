"""Fonts for labels: one that has the letters of the text, or the one asked for."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from typing import Any

from PIL import ImageFont

__all__ = ["drawable", "font_for", "readable"]

# The first have Latin, Greek and Cyrillic letters; the others Chinese, Japanese and Korean ones, under the
# names that they have on Linux, macOS and Windows.
_USUAL = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf")
_FURTHER = (
    "NotoSansCJK-Regular.ttc", "NotoSansJP-Regular.otf", "NotoSansJP-Regular.ttf", "ipaexg.ttf", "ipag.ttf",
    "TakaoGothic.ttf", "wqy-zenhei.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "Arial Unicode.ttf",
    "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "YuGothM.ttc", "msgothic.ttc", "msyh.ttc", "malgun.ttf",
    "NotoSans-Regular.ttf", "unifont.otf", "unifont.ttf",
)  # fmt: skip
_NOWHERE = "\U0010fffd"  # a character of private use, which no font has


def font_for(text: str, size: int, font: str | os.PathLike[str] | None = None) -> Any:
    """Return a Pillow font.

    Args:
        text: to be written.
        size: in pixels.
        font: a font file (.ttf, .otf, .ttc); None takes the first of the usual ones that has all letters of
            the text, and the usual one if none has.

    Raises:
        ValueError: the font given cannot be read.
    """
    if font is not None:
        return _given(os.fspath(font), size)
    if text.isascii():
        return _usual(size)
    name = _name_for(frozenset(text))
    return _usual(size) if name is None else ImageFont.truetype(name, size)


def readable(text: str, instead: str, font: str | os.PathLike[str] | None = None) -> str:
    """Return the text, or what to write instead where no font has its letters."""
    if text.isascii() or _can_write(font_for(text, 16, font), frozenset(text)):
        return text
    warnings.warn(
        f"no font here has the letters of {text!r}: {instead!r} is drawn in its place. Pass font=FILE (.ttf, "
        ".otf, .ttc) to draw it",
        stacklevel=2,
    )
    return instead


def drawable(text: str, font: str | os.PathLike[str] | None = None) -> str:
    """Return a text of somebody's own with "?" for each letter that no font has."""
    return text if text.isascii() else _drawable(text, None if font is None else os.fspath(font))


@lru_cache(maxsize=1024)
def _drawable(text: str, font: str | None) -> str:
    if _can_write(font_for(text, 16, font), frozenset(text)):
        return text
    chosen = font_for("", 16, font)
    result = "".join(letter if _can_write(chosen, frozenset(letter)) else "?" for letter in text)
    warnings.warn(
        f"no font here has all letters of {text!r}: {result!r} is drawn in its place. Pass font=FILE (.ttf, "
        ".otf, .ttc) to draw it",
        stacklevel=3,
    )
    return result


def check_font(font: str) -> None:
    """Raise `ValueError` if a file is no font that can be read."""
    _given(font, 12)


@lru_cache(maxsize=16)
def _given(font: str, size: int) -> Any:
    try:
        return ImageFont.truetype(font, size)
    except OSError as error:
        raise ValueError(f"font={font!r} cannot be read: {error}") from error


@lru_cache(maxsize=16)
def _usual(size: int) -> Any:
    for name in _USUAL:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


@lru_cache(maxsize=256)
def _name_for(letters: frozenset[str]) -> str | None:
    for name in (*_USUAL, *_FURTHER):
        try:
            font = ImageFont.truetype(name, 16)
        except OSError:
            continue
        if _can_write(font, letters):
            return name
    return None


def _can_write(font: Any, letters: frozenset[str]) -> bool:
    """Return whether a font has glyphs of its own for all letters; letters that it lacks share one glyph."""
    try:
        missing = _drawn(font, _NOWHERE)
        return all(letter.isspace() or _drawn(font, letter) != missing for letter in letters)
    except UnicodeEncodeError:  # the bitmap font of a Pillow without FreeType
        return False


def _drawn(font: Any, letter: str) -> tuple[Any, bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
