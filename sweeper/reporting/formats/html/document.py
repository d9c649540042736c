"""The page: template, styles, scripts, data, and the policy that admits only these."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sweeper.domain.escaping import shorten
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.html import facts, tables
from sweeper.reporting.wording import number, percent

_STYLES = ("vendor/uplot.min.css", "page/page.css")
_SCRIPTS = (
    *("vendor/datatables.min.js", "vendor/uplot.min.js"),
    *("page/cells.js", "page/filters.js", "page/trend.js", "page/page.js"),
)
_LICENSES = ("vendor/LICENSE.datatables", "vendor/LICENSE.uplot")


def document(report: Report) -> bytes:
    """Return the page; the same report gives the same bytes."""
    styles, scripts = [_read(name) for name in _STYLES], [_read(name) for name in _SCRIPTS]
    page = _environment().get_template("page.html.j2")
    shown = tables.tables(report)
    return page.render(
        report=report,
        facts=facts.facts(report),
        tables={table.id: table for table in shown},
        data=Markup(_embedded_json(tables.payload(report, shown))),  # noqa: S704 (escaped there)
        policy=_policy(styles, scripts),
        styles=[Markup(text) for text in styles],  # noqa: S704 (the package's own files)
        scripts=[Markup(text) for text in scripts],  # noqa: S704 (the package's own files)
        licences=[_read(name) for name in _LICENSES],
    ).encode()


def _embedded_json(value: Any) -> str:
    """Return the value as JSON that cannot begin or end an element or comment of the page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _environment() -> Environment:
    """Return an environment that escapes all text and makes hidden characters visible."""
    environment = Environment(
        loader=PackageLoader("sweeper.reporting.formats.html", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(number=number, percent=percent)
    return environment


def _visible(value: Any) -> Any:
    """Return text that is not marked as the package's own without hidden characters."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shorten(value, tables.MAX_TEXT)
    return value


def _policy(styles: list[str], scripts: list[str]) -> str:
    """Return a policy that permits no requests, and only these styles and scripts."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_source, scripts))}",
            f"style-src {' '.join(map(_source, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _read(name: str) -> str:
    return (files("sweeper.reporting.formats.html") / name).read_text(encoding="utf-8")
