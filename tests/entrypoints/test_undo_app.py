"""What it takes to go on with an undo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.inversion import undo_config
from sweeper.engine.pool import Stop
from sweeper.entrypoints import undo_app as app
from sweeper.entrypoints.bootstrap import new_header
from sweeper.entrypoints.undo_runner import closes_again
from sweeper.storage import run_state as state
from sweeper.storage.journal import lines
from sweeper.storage.recorded_changes import digest
from tests import factories
from tests.cases import case
from tests.fakes import FakeObserver, account_id, make_config, make_target
from tests.golden import assert_golden, sections
from tests.undo_support import UNDOES, claim, claimed_run

CLAIMS = (claim("app-a"), claim("app-b"))
SOURCE = app.Source(replace(factories.report(), run=claimed_run()), UNDOES, CLAIMS)


def gone_on_with(directory: Path, header: lines.Header, source: app.Source = SOURCE) -> str:
    """What is said where the undo with this header is gone on with."""
    journal = directory / f"{header.run_id}{state.SUFFIX}"
    journal.write_bytes(lines.header(header))
    with pytest.raises(ConfigurationError) as caught:
        app.run_undo(
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
    config = undo_config(make_config(state={"directory": str(directory)}), CLAIMS)
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


def test_what_is_gone_on_with_is_the_same_undo(tmp_path: Path) -> None:
    forged = claim("app-b", before=("MUTABLE_WITH_EXCLUSION", ("a",)))
    mine = header_of(tmp_path)
    configured = header_of(tmp_path)
    configured.config["organization"] = "another"
    cases = {
        "another run": (replace(mine, undoes="20260101T000000Z-ffffff"), SOURCE),
        "fewer changes": (mine, replace(SOURCE, claims=CLAIMS[:1])),
        "other changes": (mine, replace(SOURCE, claims=(CLAIMS[0], forged))),
        "a sweep": (replace(mine, undoes=None), SOURCE),
        "a dry run": (header_of(tmp_path, dry_run=True), SOURCE),
        "another configuration": (configured, SOURCE),
    }
    told = {}
    for name, (header, source) in cases.items():
        with case(name):
            said = gone_on_with(tmp_path, header, source)
            assert header.run_id in said
            told[name] = said.replace(header.run_id, "<the undo>")
    assert_golden("refusals.resume.txt", sections(told))
