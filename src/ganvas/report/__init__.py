"""Reports: an HTML page of a run, or of runs side by side, that opens from disk and needs no network."""

from ganvas.report.compare import Comparison, compare
from ganvas.report.compare_page import comparison_page
from ganvas.report.neighbours import Extras
from ganvas.report.page import report

__all__ = ["Comparison", "Extras", "compare", "comparison_page", "report"]
