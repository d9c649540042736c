"""Where the AWS Management Console shows a repository: pure.

Only for partitions whose console is on the internet, and only for names that ECR gives: so an
address needs no escaping, and no name can change its target.
"""

from __future__ import annotations

import re

from sweeper.domain.model import Finding
from sweeper.domain.report_model import EarlierFinding

_HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_NAME = re.compile(r"(?=.{2,256}$)[a-z0-9]+(?:(?:[._-]+|/)[a-z0-9]+)*")


def console_template(partition: str | None) -> str | None:
    """Return the address with ``{account}``, ``{region}`` and ``{repository}`` to fill in."""
    host = _HOSTS.get(partition or "")
    if host is None:
        return None
    page = "ecr/repositories/private/{account}/{repository}?region={region}"
    return f"https://{{region}}.{host}/{page}"


def console_url(item: Finding | EarlierFinding, partition: str | None) -> str | None:
    """Return the address of the repository's page; None where there is none, or none is known."""
    template = console_template(partition)
    is_known = (
        item.resource == "repository"
        and _ACCOUNT.fullmatch(item.account_id)
        and _REGION.fullmatch(item.region)
        and _NAME.fullmatch(item.repository)
    )
    if template is None or not is_known:
        return None
    return template.format(account=item.account_id, region=item.region, repository=item.repository)
