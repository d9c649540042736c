"""What the documents show is what the program takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from sweeper.config.schema import Config
from sweeper.reporting.sinks.sns import _attributes
from tests.cases import case
from tests.factories import report
from tests.rendering import formats

ROOT = Path(__file__).parents[1]
REPORT = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", REPORT, re.DOTALL)


def test_an_example_is_a_configuration() -> None:
    assert EXAMPLES
    for example in EXAMPLES:
        with case(example):
            config = Config.model_validate(yaml.safe_load(example))
            assert set(config.report.formats) <= set(formats())


def test_the_filter_policy_asks_for_what_there_is() -> None:
    [policy] = re.findall(r"```json\n(.*?)```", REPORT, re.DOTALL)
    given = _attributes(report())
    assert set(json.loads(policy)) <= set(given)
    assert {name for name in given if f"| `{name}` |" in REPORT} == set(given)


def test_every_format_is_named_in_the_configuration_file() -> None:
    line = next(
        line
        for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith("formats:")
    )
    assert line.rpartition("# ")[2].split(", ") == sorted(formats())
