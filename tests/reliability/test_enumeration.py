"""Damaged answers while the organization is listed: a whole list, or an end that is told."""

from __future__ import annotations

import pytest

from tests.end_to_end.harness import Here, failures, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.reliability.promises import quoted

SEEDS = range(12)
WORLD = small_world(accounts=23, regions=1, repositories_per_target=1)


@pytest.mark.parametrize(
    "operation",
    [
        "ListAccounts",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("GetCallerIdentity", "ListRoots", "ListChildren")
        ),
    ],
)
def test_no_account_is_lost(aws: FakeAws, here: Here, operation: str) -> None:
    walked = operation in {"ListRoots", "ListChildren"}
    aws.load({**WORLD.to_json(), "give_paths": not walked})
    config = {"remediation": {"include_ous": ["ou-fake-00000001"] if walked else []}}
    ended_early = 0
    for seed in SEEDS:
        aws.faults([Fault("malformed", operation=operation, seed=seed, times=1)])
        ended = here.run(aws, "--dry-run", config=config)
        early = {reason for account, _, reason in failures(ended.report) if account is None}
        if early:
            ended_early += 1
            assert early <= {"unexpected_response", "unknown_ou"}
            assert ended.status == (2 if early == {"unknown_ou"} else 4)
        else:
            listed = [item["id"] for item in ended.report["accounts"]]
            listed += [item["account_id"] for item in ended.report["failures"]]
            assert sorted(listed) == sorted(account.id for account in WORLD.accounts)
        assert "internal_error" not in ended.stderr
        assert quoted(aws.secrets(), ended.stderr) == set()
    assert 0 < ended_early < len(SEEDS)
