"""All contenders do the same work, and find what there is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import launcher, worlds
from benchmarks.contenders import FLOOR, SWEEPER, USUAL, sweeper_report
from benchmarks.measure import Contender, ContenderFailed, launch, measure
from benchmarks.real_names import AwsByTls
from benchmarks.worlds import Truth
from tests.fake_aws.process import FakeAws

pytestmark = pytest.mark.slow

WORLD, TRUTH = worlds.organization(2, 2, latency=0)


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as process:
        yield process


def test_the_truth_is_the_fakes(aws: FakeAws) -> None:
    everything = aws.repositories()
    assert len(everything) == TRUTH.repositories
    assert len({(each.account, each.region) for each in everything}) == TRUTH.targets
    found = [each for each in everything if not each.mutability.startswith("IMMUTABLE")]
    assert len(found) == TRUTH.found
    filters = {each for repository in everything for each in repository.exclusion_filters}
    assert filters <= set(worlds.FILTERS)


@pytest.mark.parametrize("contender", [SWEEPER, USUAL, FLOOR], ids=lambda each: each.name)
def test_a_contender_finds_the_truth_with_the_same_calls(
    aws: FakeAws, tmp_path: Path, contender: Contender
) -> None:
    measurement, statistics = measure(contender, aws, tmp_path)
    assert measurement.found == TRUTH
    calls = dict(statistics.calls)
    identity = calls.pop("sts:GetCallerIdentity", 0)
    # sweeper alone reads the names of OUs, for people: one call each.
    names = calls.pop("organizations:DescribeOrganizationalUnit", 0)
    assert names == (contender.name == "sweeper")
    assert calls == {
        "organizations:ListAccounts": 1,
        "sts:AssumeRole": 2,
        "account:ListRegions": 2,
        "ecr:DescribeRepositories": 4,
    }
    assert measurement.calls == sum(calls.values()) + identity + names
    assert measurement.connections > 0
    assert not measurement.errors
    assert measurement.usage.cpu > 0
    assert measurement.usage.wall > 0


@pytest.mark.parametrize("contender", [SWEEPER, FLOOR], ids=lambda each: each.name)
def test_a_contender_finds_the_truth_by_tls_at_awss_names(
    tmp_path: Path, contender: Contender
) -> None:
    with AwsByTls(WORLD, tmp_path) as aws:
        assert aws.environment.keys().isdisjoint({"AWS_ENDPOINT_URL"})
        (tmp_path / "run").mkdir()
        measurement, _ = measure(contender, aws, tmp_path / "run")
    assert measurement.found == TRUTH
    hosts = 3 + 2  # organizations, sts and account; ECR in each region
    assert measurement.connections >= hosts


def test_of_a_first_sweep_a_third_of_the_repositories_is_mutable() -> None:
    world, truth = worlds.first_sweep(2)
    assert truth.found == 2 * 29
    with FakeAws(world) as aws:
        found = [each for each in aws.repositories() if not each.mutability.startswith("IMMU")]
    assert len(found) == truth.found


def test_a_contender_that_fails_is_no_measurement(aws: FakeAws, tmp_path: Path) -> None:
    def never(_: Path) -> Truth:
        raise AssertionError

    command = [sys.executable, "-c", "import sys; sys.exit('broken')"]
    broken = Contender("broken", lambda *_: command, never)
    with pytest.raises(ContenderFailed, match=r"(?s)broken: exit status 1.*broken"):
        measure(broken, aws, tmp_path)


def test_a_contender_without_an_answer_is_no_measurement(aws: FakeAws, tmp_path: Path) -> None:
    silent = dataclasses.replace(FLOOR, prepare=lambda *_: [sys.executable, "-c", ""])
    with pytest.raises(ContenderFailed, match="floor: no answer"):
        measure(silent, aws, tmp_path)


def test_only_the_throttled_accounts_fail(aws: FakeAws, tmp_path: Path) -> None:
    (account,) = worlds.throttled_accounts(WORLD, 1)
    assert account != WORLD.management_account
    denied = [
        dataclasses.replace(fault, action="access_denied")  # the same rule, without its waits
        for fault in worlds.throttling((account,), "ecr")
    ]
    aws.faults(denied)
    try:
        measurement, statistics = measure(SWEEPER, aws, tmp_path)
    finally:
        aws.faults([])
    assert measurement.found.targets == TRUTH.targets / 2
    assert {each["account_id"] for each in sweeper_report(tmp_path)["failures"]} == {account}
    assert set(statistics.spans) >= {f"ecr:{each.id}" for each in WORLD.accounts}


def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    ballast = bytearray(200_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])  # this process is large
    usage = launch([sys.executable, "-c", "pass"], tmp_path, dict(os.environ))
    assert usage.peak_mb < 100
    assert len(ballast) == 200_000_000


def test_memory_of_a_tree_is_that_of_all_its_processes() -> None:
    grandchild = "x = b'x' * 60_000_000; print('ready', flush=True); input()"
    child = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-c', {grandchild!r}]\n"
        "subprocess.run(command)\n"
    )
    command = [sys.executable, "-c", child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert launcher.tree_kb(process.pid) > 60_000
        process.communicate(b"\n")
