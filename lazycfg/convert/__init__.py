"""Configs of other systems as config files of ours: `convert` writes what `lazycfg convert` does.

Each format has a module with two functions: `recognises(path)`, which judges by the contents of a file, and
`convert(path, overrides)`. `FORMATS` is the table of them.
"""

from __future__ import annotations

from lazycfg.convert.formats import FORMATS, convert, format_of_source
from lazycfg.convert.result import Converted, ConvertError

__all__ = ["FORMATS", "ConvertError", "Converted", "convert", "format_of_source"]
