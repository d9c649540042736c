"""Any file is a configuration, which can be shown, or an error that names it."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweeper.config import loader as config_loading
from sweeper.config.rendering import as_json, as_yaml
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from tests.cases import case
from tests.fuzz.support import bounded, misshapen, mutated, run_of, values

SAMPLE: dict[str, Any] = {
    "organization": {"include_ous": ["ou-ab12-11111111"], "exclude_accounts": ["111122223333"]},
    "regions": {"exclude": ["eu-west-1"]},
    "coverage": {"accept": [{"reason": "denied_by_scp", "region": "ap-*"}]},
    "policy": {"allowed_exclusions": ["latest"], "exempt_pull_through_cache": True},
    "exemptions": [{"repository": "sandbox/*", "reason": "rebuilt", "expires": "2027-01-31"}],
    "remediation": {"auto_remediate": "DISABLED", "exclusions": ["v*"], "max_changes": 5},
    "report": {"s3": {"bucket": "reports", "prefix": "a"}, "formats": ["json"]},
    "limits": {"max_workers": 8, "deadline_seconds": 600},
}
TEXT = yaml.safe_dump(SAMPLE).encode()
FILE, SHOWN = "fuzzed.yaml", "shown.yaml"


def load(fuzzer: str, content: bytes) -> Config | None:
    Path(FILE).write_bytes(content)
    problem = ""
    with run_of(fuzzer):
        try:
            loaded = config_loading.load(FILE)
        except ConfigurationError as error:
            problem = str(error)
        else:
            Path(SHOWN).write_text(as_yaml(loaded), encoding="utf-8")
            assert config_loading.load(SHOWN).config == loaded.config
            assert as_json(loaded)
            return loaded.config
    assert FILE in problem
    return None


def test_the_sample_is_one() -> None:
    assert load("config", TEXT) is not None


@bounded
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode(errors="replace"))
)
def test_any_bytes(content: bytes) -> None:
    load("config bytes", content)


@bounded
@given(mutated(TEXT))
def test_mutations_of_a_good_file(content: bytes) -> None:
    load("config mutations", content)


@bounded
@given(misshapen(SAMPLE) | st.dictionaries(st.sampled_from(sorted(SAMPLE)), values))
def test_any_structure(structure: Any) -> None:
    load("config structures", json.dumps(structure).encode())


def test_any_depth() -> None:
    openings = (b"[", b"{", b"- ", b"? ", b"a: [", b"!!set {", b"&a [", b"'", b"!!binary ")
    depths = (1, 2, 10, 99, 100, 101, 300, 1_000)
    gc.disable()  # a finalizer that happens to run at the bottom of a deep recursion would fail
    try:
        for opening in openings:
            for times in (*depths, *((5_000,) if opening in b"[{" else ())):
                with case(opening, times):
                    load("config depth", opening * times)
    finally:
        gc.enable()


@pytest.mark.parametrize("levels", [1, 9, 40])
def test_no_alias_is_followed(levels: int) -> None:
    text = "l0: &l0 [x]\n"
    for level in range(1, levels + 1):
        text += f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]\n"
    Path(FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="alias"):
        config_loading.load(FILE)


def test_no_more_is_read_than_of_a_remote_file() -> None:
    assert load("config", TEXT + b"#" * (1_000_000 - len(TEXT))) is not None
    assert load("config", TEXT + b"#" * (1_000_001 - len(TEXT))) is None
