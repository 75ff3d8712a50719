"""Images of a run as parts of a page, each made small enough, and not too many of them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from lazycfg.reporting.html import text

__all__ = ["Images"]

_LONGEST_SIDE = 1200  # pixels
_MOST_BYTES = 6_000_000  # of all images of a page, before they are encoded


class Images:
    """Embeds the images of a run's folder until the page has enough of them.

    Attributes:
        left_out: how many were not embedded, since the page is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._bytes = 0
        self.left_out = 0

    def figure(self, file: str, caption: str) -> str:
        """Return an image with a caption; "" where it cannot be read, lies elsewhere, or the page is full."""
        path = (self._folder / file).resolve()
        if not path.is_relative_to(self._folder):
            return ""
        found = _jpeg(path)
        if found is None:
            return ""
        content, width, height = found
        if self._bytes + len(content) > _MOST_BYTES:
            self.left_out += 1
            return ""
        self._bytes += len(content)
        source = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
        return (
            f'<figure class="image"><img src="{source}" width="{width}" height="{height}" '
            f'alt="{text(caption)}"><figcaption>{text(caption)}</figcaption></figure>'
        )

    def row(self, figures: list[str]) -> str:
        """Return figures side by side where there is room."""
        shown = [figure for figure in figures if figure]
        return f'<div class="images">{"".join(shown)}</div>' if shown else ""


def _jpeg(path: Path) -> tuple[bytes, int, int] | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, format="JPEG", quality=82)
            return buffer.getvalue(), image.width, image.height
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
