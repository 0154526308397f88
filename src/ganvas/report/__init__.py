"""Reports: an HTML page of a run, or of runs side by side, that opens from disk and needs no network."""

from ganvas.report.comparison import Comparison, compare
from ganvas.report.comparison_views import comparison_page
from ganvas.report.run_page import Extras, report

__all__ = ["Comparison", "Extras", "compare", "comparison_page", "report"]
