"""What it takes to go on with an undo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper import state
from sweeper.composition import new_header
from sweeper.concurrency import Stop
from sweeper.errors import ConfigurationError
from sweeper.journal import lines
from sweeper.undo import app
from sweeper.undo.claims import digest
from sweeper.undo.conduct import closes_again
from sweeper.undo.plan import scoped
from tests import factories
from tests.cases import case
from tests.fakes import FakeObserver, account_id, make_config, make_target
from tests.undo.support import UNDOES, claim, claimed_run

CLAIMS = (claim("app-a"), claim("app-b"))
SOURCE = app.Source(replace(factories.report(), run=claimed_run()), UNDOES, CLAIMS)


def gone_on_with(directory: Path, header: lines.Header, source: app.Source = SOURCE) -> str:
    """What is said where the undo with this header is gone on with."""
    journal = directory / f"{header.run_id}{state.SUFFIX}"
    journal.write_bytes(lines.header(header))
    with pytest.raises(ConfigurationError) as caught:
        app.run(
            make_config(state={"directory": str(directory)}),
            source,
            dry_run=False,
            resume=header.run_id,
            stop=Stop(),
            observer=FakeObserver(),
            approve=lambda _: False,
        )
    assert journal.exists()
    return str(caught.value)


def header_of(directory: Path, *, dry_run: bool = False, **changes: Any) -> lines.Header:
    config = scoped(make_config(state={"directory": str(directory)}), CLAIMS)
    header = new_header(config, dry_run=dry_run)
    config_and_claims = {**header.config, "claims": digest(CLAIMS)}
    return replace(header, undoes=UNDOES.run_id, config=config_and_claims, **changes)


def test_what_is_done_about_the_next_sweep_ends_the_warning() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"auto_remediate": "DISABLED"}, False),
        ({"exclude_accounts": [account_id(1)]}, True),
        ({"exclude_accounts": [account_id(1), account_id(2)]}, False),
    ]
    for remediation, closes in cases:
        with case(remediation, closes):
            claims = (claim("a", make_target(1)), claim("a", make_target(2)))
            assert closes_again(make_config(remediation=remediation), claims) is closes


def test_it_is_the_same_run_that_is_undone(tmp_path: Path) -> None:
    header = replace(header_of(tmp_path), undoes="20260101T000000Z-ffffff")
    said = gone_on_with(tmp_path, header)
    assert f"undo {header.run_id} is of run 20260101T000000Z-ffffff" in said
    assert f"the report is of {UNDOES.run_id}" in said


def test_it_is_about_the_same_changes(tmp_path: Path) -> None:
    fewer = replace(SOURCE, claims=CLAIMS[:1])
    assert "was begun with another report" in gone_on_with(tmp_path, header_of(tmp_path), fewer)
    forged = replace(
        SOURCE, claims=(CLAIMS[0], claim("app-b", before=("MUTABLE_WITH_EXCLUSION", ("a",))))
    )
    assert "was begun with another report" in gone_on_with(tmp_path, header_of(tmp_path), forged)


def test_it_is_no_sweep_and_no_dry_run(tmp_path: Path) -> None:
    sweep = replace(header_of(tmp_path), undoes=None)
    said = gone_on_with(tmp_path, sweep)
    assert f"is a sweep: go on with it by sweeper run --resume {sweep.run_id}" in said
    assert "was a dry run" in gone_on_with(tmp_path, header_of(tmp_path, dry_run=True))


def test_its_configuration_is_the_same(tmp_path: Path) -> None:
    header = header_of(tmp_path)
    header.config["organization"] = "another"
    assert "another configuration of organization" in gone_on_with(tmp_path, header)
