"""What an entry point may offer, and that none is looked for without need."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.checks import chosen_checks
from sweeper.domain.errors import ConfigurationError
from sweeper.reporting.formats import FORMATS, chosen_formats
from sweeper.reporting.sinks import chosen_plugins
from tests.cases import case
from tests.fakes import make_config
from tests.plugins import install

FORMAT = "from sweeper.reporting.formats.base import Format\n"
MODULES = {
    "good_format": FORMAT + "PLAIN = Format('plain', 'plain', 'text/plain', lambda _: iter(()))\n",
    "like_json": FORMAT + "OTHER = Format('other', 'json', 'text/json', lambda _: iter(()))\n",
    "no_python": "this is no Python\n",
    "needs_more": "import a_module_that_nobody_has\n",
}
ENTRY_POINTS = {
    "sweeper.formats": {
        "plain": "good_format:PLAIN",
        "renamed": "good_format:PLAIN",
        "other": "like_json:OTHER",
        "json": "no_python:FORMAT",  # sweeper's own is taken
        "broken": "no_python:FORMAT",
        "lacking": "needs_more:FORMAT",
        "absent": "good_format:ABSENT",
        "function": "good_format:Format.render",
        "twice": "good_format:PLAIN",
    },
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(tmp_path, "one", ENTRY_POINTS, **MODULES)
    install(tmp_path, "two", {"sweeper.formats": {"twice": "like_json:OTHER"}})
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for module in MODULES:
        sys.modules.pop(module, None)


def test_a_format_that_is_installed_is_taken(site: None) -> None:
    chosen = chosen_formats(make_config(report={"formats": ["json", "plain"]}))
    assert [each.name for each in chosen] == ["json", "plain"]
    assert MODULES.keys() & sys.modules.keys() == {"good_format"}


def test_what_cannot_be_taken_is_an_error_that_names_it(site: None) -> None:
    for name, words in (
        ("other", "two formats would write report.json"),
        ("renamed", "'renamed' is not a Format of this name: good_format:PLAIN"),
        ("function", "'function' is not a Format of this name"),
        ("broken", "'broken' cannot be imported: invalid syntax"),
        ("lacking", "'lacking' cannot be imported: No module named 'a_module_that_nobody_has'"),
        ("absent", "'absent' cannot be imported"),
        ("twice", "several plugins are called 'twice': good_format:PLAIN, like_json:OTHER"),
        ("unknown", "'unknown' is unknown; allowed: absent, broken, csv, function, html,"),
    ):
        with case(name, words):
            with pytest.raises(ConfigurationError) as caught:
                chosen_formats(make_config(report={"formats": [name]}))
            assert str(caught.value).startswith("report.formats: ")
            assert words in str(caught.value)


def test_for_what_is_sweepers_own_no_entry_point_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("there was no need")

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    both = ("ecr-tag-immutability", "ecr-creation-template-immutability")
    config = make_config(checks=both, report={"formats": FORMATS, "directory": "out"})
    assert [kind.name for kind in chosen_checks(config)] == list(both)
    assert len(chosen_formats(config)) == len(FORMATS)
    assert chosen_plugins(config) == []
    with pytest.raises(AssertionError):
        chosen_checks(make_config(checks=("other",), remediation={"checks": ()}))
