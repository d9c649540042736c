from pathlib import Path

from sweeper.domain.reasons import Reason
from sweeper.reporting.reasons import table

ROOT = Path(__file__).parents[3]


def test_the_published_table_is_current() -> None:
    published = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert published == "\n".join(table()) + "\n", "run: make reasons"


def test_each_reason_has_its_meaning() -> None:
    assert [reason for reason in Reason if not reason.meaning] == []
