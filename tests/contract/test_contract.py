"""The fake AWS against moto and ministack: the same calls, the same answers, but for the listed.

Slow: moto and ministack start, and answer 200 calls each, in some ten seconds of CPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.answers import differences, run
from tests.contract.endpoints import PEERS, fake_endpoint
from tests.contract.ministack import needed
from tests.contract.scenarios import SCENARIOS
from tests.contract.table import FILE, SAME, read, shown

pytestmark = pytest.mark.slow
SECTIONS = tuple(read(FILE.read_text()))
Answers = dict[str, object]


@pytest.fixture(scope="module")
def fakes() -> Iterator[Answers]:
    with fake_endpoint() as contender:
        yield {
            step.name: answer for scenario in SCENARIOS for step, answer in run(contender, scenario)
        }


@pytest.mark.parametrize("name", ["moto", pytest.param("ministack", marks=needed)])
def test_the_fake_answers_as_its_peers_but_for_what_is_listed(name: str, fakes: Answers) -> None:
    with PEERS[name]() as contender:
        found = {
            (step.name, path): (shown(fake), shown(peer))
            for scenario in SCENARIOS
            for step, answer in run(contender, scenario)
            for path, (fake, peer) in differences(fakes[step.name], answer).items()
        }
    listed = {
        (row.step, row.path): (row.fake, row.peers[name])
        for section in SECTIONS
        for row in section.rows
        if row.peers[name] != SAME
    }
    new = {place: answers for place, answers in found.items() if listed.get(place) != answers}
    gone = {place: answers for place, answers in listed.items() if found.get(place) != answers}
    assert not new, f"not in {FILE.name}, or otherwise: {new}"
    assert not gone, f"in {FILE.name}, and no longer so: {gone}"
