"""A botocove user's script: its regions and threads as it documents them, else its defaults."""

from __future__ import annotations

import json
import sys

from boto3 import Session
from botocove import cove

MUTABLE = ("MUTABLE", "MUTABLE_WITH_EXCLUSION")


def mutable_repositories(session: Session) -> int:
    """Count the tag-mutable repositories that one account has in one region."""
    pages = session.client("ecr").get_paginator("describe_repositories").paginate()
    return sum(
        each["imageTagMutability"] in MUTABLE for page in pages for each in page["repositories"]
    )


def main(role: str, regions: list[str]) -> None:
    """Sweep the organization but for the caller's own account, which botocove leaves out."""
    output = cove(mutable_repositories, rolename=role, regions=regions)()
    problems = output["Exceptions"] or output["FailedAssumeRole"]
    if problems:
        sys.exit(f"{len(problems)} failed: {problems[0]}")
    print(json.dumps(sum(each["Result"] for each in output["Results"])))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
