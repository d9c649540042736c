"""report.html: the whole report as one page that requests nothing.

`facts` makes the verdict and the figures, `tables` the data of the tables and the map, `page/` has
template, styles and scripts, `vendor/` the libraries. The data is in the page as JSON, with each
text only once. Without scripts the page shows the verdict, the figures and the bars.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeper.domain.report_model import Report
from sweeper.reporting.formats.base import Format


def _render(report: Report) -> Iterator[bytes]:
    """Yield the page as UTF-8, with a Content-Security-Policy that admits only itself.

    It is one piece: the data is one line, and small, because it has each text only once.
    """
    from sweeper.reporting.formats.html.document import document

    yield document(report)


FORMAT = Format("html", "html", "text/html; charset=utf-8", _render)
