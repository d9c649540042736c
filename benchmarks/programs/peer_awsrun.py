"""An awsrun user's command for many accounts and regions, with 32 workers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from awsrun.runner import AccountRunner, RegionalCommand
from awsrun.session.aws import CredsViaCrossAccount, CredsViaProfile
from boto3 import Session

MUTABLE = ("MUTABLE", "MUTABLE_WITH_EXCLUSION")


class MutableRepositories(RegionalCommand):  # type: ignore[misc]  # not installed here
    """Counts tag-mutable repositories."""

    def __init__(self, regions: list[str]) -> None:
        super().__init__(regions)
        self.found = 0

    def regional_execute(self, session: Session, acct: str, region: str) -> int:
        """Look at one account's region."""
        del acct
        pages = session.client("ecr", region_name=region).get_paginator("describe_repositories")
        return sum(
            each["imageTagMutability"] in MUTABLE
            for page in pages.paginate()
            for each in page["repositories"]
        )

    def regional_collect_results(
        self, acct: str, region: str, get_result: Callable[[], int]
    ) -> None:
        """Count; raises what went wrong."""
        del acct, region
        self.found += get_result()


def main(role: str, accounts: str, regions: list[str]) -> None:
    """Look at the accounts that a file lists as JSON."""
    command = MutableRepositories(regions)
    credentials = CredsViaCrossAccount(CredsViaProfile(), "base", role)
    AccountRunner(credentials, max_workers=32).run(command, json.loads(Path(accounts).read_text()))
    print(json.dumps(command.found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
