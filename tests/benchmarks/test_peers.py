"""What is asked of other tools and read from what they leave; they need not be installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import worlds
from benchmarks.peers import PEERS, Peer
from tests.fake_aws.process import FakeAws

WORLD, _ = worlds.organization(2, 2)  # the caller's own account and one more
MEMBER = WORLD.accounts[1].id
BINARIES = Path("bin")
BY_NAME = {peer.name: peer for peer in PEERS}


@pytest.mark.parametrize("peer", PEERS, ids=lambda each: each.name)
def test_a_peer_is_asked_for_the_members_in_every_enabled_region(
    peer: Peer, tmp_path: Path
) -> None:
    command = peer.command(FakeAws(WORLD), tmp_path, BINARIES)
    assert command[0].startswith("bin/")
    asked = " ".join([*command, *(file.read_text() for file in tmp_path.glob("acc*"))])
    assert WORLD.role.name in asked
    assert all(region in asked for region in ("us-east-1", "us-east-2"))
    assert "af-south-1" not in asked
    assert WORLD.management_account not in asked
    if peer.name != "botocove":  # which lists the organization itself
        assert MEMBER in asked


def test_c7n_org_leaves_a_file_for_each_region(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no resources"):
        BY_NAME["c7n-org"].found(tmp_path)
    for region, found in (("us-east-1", ["a", "b"]), ("us-east-2", []), ("eu-west-1", ["c"])):
        directory = tmp_path / "out" / MEMBER / region / "mutable"
        directory.mkdir(parents=True)
        (directory / "resources.json").write_text(json.dumps(found))
    assert BY_NAME["c7n-org"].found(tmp_path) == 3


def test_prowler_leaves_a_row_for_each_repository(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    rows = "CHECK_ID;STATUS\nimmutability;FAIL\nimmutability;PASS\nimmutability;FAIL\n"
    (tmp_path / "out" / "found.csv").write_text(rows)
    assert BY_NAME["prowler"].found(tmp_path) == 2


def test_a_script_prints_how_many_it_found(tmp_path: Path) -> None:
    (tmp_path / "stdout.txt").write_text("a progress bar\n17\n")
    assert BY_NAME["botocove"].found(tmp_path) == 17
