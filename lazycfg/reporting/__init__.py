"""The report of a run: one page made of the files in its folder. Nothing here imports torch."""

from lazycfg.reporting.page import report_html, write_report
from lazycfg.reporting.run_files import RunFiles, read_metrics

__all__ = ["RunFiles", "read_metrics", "report_html", "write_report"]
