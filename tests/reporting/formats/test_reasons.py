from pathlib import Path

from sweeper.domain.reasons import Reason

from sweeper.reporting.reasons import MEANING, table

ROOT = Path(__file__).parents[2]


def test_the_published_table_is_current() -> None:
    published = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert published == "\n".join(table()) + "\n", "run: make reasons"


def test_each_reason_has_its_meaning() -> None:
    assert [reason for reason in Reason if not MEANING.get(reason)] == []
