"""Where the AWS Management Console shows a repository: pure.

Only for the partitions whose console is on the internet, and only for names that ECR gives: so an
address needs no escaping, and nobody else chooses where it leads.
"""

from __future__ import annotations

import re
from typing import Protocol

from sweeper.domain.model import Resource

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


class Located(Protocol):
    """A finding, or an earlier one."""

    @property
    def account_id(self) -> str:
        """Its account."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def resource(self) -> Resource:
        """What it is about."""

    @property
    def repository(self) -> str:
        """Its name."""


def console_template(partition: str | None) -> str | None:
    """Return the address with ``{account}``, ``{region}`` and ``{repository}`` to fill in."""
    host = _HOSTS.get(partition or "")
    if host is None:
        return None
    place = "ecr/repositories/private/{account}/{repository}?region={region}"
    return f"https://{{region}}.{host}/{place}"


def console_url(item: Located, partition: str | None) -> str | None:
    """Return the address of the repository's page; None where there is none that is known."""
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
