"""A journal knows of an account whose regions could not be read, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from sweeper.domain.model import Failed, OpenedAccount, Stage
from sweeper.domain.reasons import Reason
from sweeper.storage.journal import kinds, lines
from tests import factories


def test_why_an_accounts_regions_could_not_be_read_is_kept() -> None:
    unread = Failed(Stage.OPEN_ACCOUNT, Reason.REGIONS_UNREADABLE, "no", "AccessDenied")
    account = factories.account()
    opened = OpenedAccount(account, (("eu-central-1", "ENABLED"),), unread)
    header = kinds.Header(
        "20260615T120000Z-0a1b2c", datetime(2026, 6, 15, 12, tzinfo=UTC), "1", False, {}
    )
    stored = lines.header(header) + lines.opened(opened)
    _, past, _ = lines.read(BytesIO(stored), "journal")
    assert past.opened == {account.id: opened}
