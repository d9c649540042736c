"""What is suggested, against moto: a second opinion on pushes, which are not the project's own.

moto reads an exclusion filter as a regular expression from a tag's beginning, not as ECR's
wildcard: a name, and ``pr-*``, let the same tags through as in ECR, and ``sha256-*.sig`` does not.
Such are pushed to the project's own endpoint, in tests/end_to_end/test_impact.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sweeper.config.schema import Config
from sweeper.domain.impact import suggest_exclusions
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.entrypoints import app
from sweeper.entrypoints.demo import demo_organization, organization
from tests.fakes import FakeObserver

ACCOUNT = organization.MANAGEMENT_ACCOUNT_ID
SIGNATURE = f"sha256-{'0f' * 32}.sig"
MOVED = {"latest", "main", "pr-7", SIGNATURE}
RELEASES = {"1.4.2", "v2.0.0"}
NAMES = ("impact/api", "impact/web")


def push(name: str, tag: str | None, content: int) -> None:
    manifest = {
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "layers": [{"digest": f"{name} {tag} {content}"}],
    }
    given: Any = {"imageTag": tag} if tag else {}
    boto3.client("ecr").put_image(repositoryName=name, imageManifest=json.dumps(manifest), **given)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The demo's organization, of which one account is swept, with two more repositories."""
    with demo_organization() as options:
        monkeypatch.setenv("AWS_DEFAULT_REGION", organization.REGION)
        for name in NAMES:
            boto3.client("ecr").create_repository(repositoryName=name)
            for tag in (*MOVED, *RELEASES):
                for content in range(3 if tag in MOVED else 1):
                    push(name, tag, content)
        push(NAMES[0], None, 0)
        yield {
            **options,
            "organization": {"include_accounts": [ACCOUNT]},
            "regions": {"include": [organization.REGION]},
            "report": {"directory": tmp_path / "report"},
            "state": {"directory": tmp_path / "state"},
        }


def sweep(sections: dict[str, Any], *, dry_run: bool, **remediation: Any) -> Report:
    config = Config.model_validate({**sections, "remediation": remediation})
    options = app.RunOptions(dry_run=dry_run)
    return app.run_sweep(config, options, stop=Stop(), observer=FakeObserver()).report


def test_what_is_suggested_lets_moved_tags_move_and_no_release(options: dict[str, Any]) -> None:
    dry = sweep(options, dry_run=True, assess_impact=True)
    found = {each.repository: each.impact for each in dry.findings if each.impact}
    for name in NAMES:
        impact = found[name]
        assert {each.tag for each in impact.moved} == MOVED
        assert {each.pushed_at is not None for each in impact.moved} == {True}
        assert set(impact.exclusions) == {"latest", "main", "pr-*", "sha256-*.sig"}
    assert (found[NAMES[0]].untagged, found[NAMES[1]].untagged) == (1, 0)
    push(NAMES[0], "1.4.2", 1)  # as long as it is only a plan, nothing is closed

    suggested = suggest_exclusions(dry.findings)
    assert suggested is not None
    pasted = {
        "exclusions": suggested.exclusions,
        "exclusions_by_repository": suggested.by_repository,
    }
    assert set(suggested.exclusions) == {"latest", "main", "pr-*", "sha256-*.sig"}
    real = sweep(options, dry_run=False, **pasted)
    assert {each.change.status for each in real.findings if each.change} == {"applied"}
    for name in NAMES:
        for tag in MOVED - {SIGNATURE}:
            push(name, tag, 10)
        for tag in RELEASES:
            with pytest.raises(ClientError) as refused:
                push(name, tag, 10)
            assert "AlreadyExists" in refused.value.response["Error"]["Code"]
    assert sweep(options, dry_run=False, **pasted).totals.remaining == 0
