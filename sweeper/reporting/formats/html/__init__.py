"""report.html: the whole report as one page that requests nothing.

`facts` says what is read first, `tables` what the page's script shows as tables and map, `page/`
is how it looks, `vendor/` the libraries that it shows it with. The data lies in the page as JSON,
each text once; without a script the verdict, the figures and the bars are there all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeper.domain.report_model import Report
from sweeper.reporting.formats.base import Format


def render(report: Report) -> Iterator[bytes]:
    """The report as an HTML page, UTF-8, with a Content-Security-Policy that admits itself only.

    One piece: the data is one line of it, and small, because each text is there once.
    """
    from sweeper.reporting.formats.html.document import document

    yield document(report)


FORMAT = Format("html", "html", "text/html; charset=utf-8", render)
