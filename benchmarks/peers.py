"""Other tools that can look at every account's repositories, each in an environment of its own.

`python -m benchmarks.peers` installs them into benchmarks/.peers, from the package index that pip
is set up for. They are measured with few accounts and without latency, and what they would need
for the organization of the other tables is extrapolated, because the whole of it takes some of
them many minutes and gigabytes.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import scenarios, worlds
from benchmarks.contenders import FLOOR, SWEEPER
from benchmarks.measure import Contender, ContenderFailed, Measurement
from benchmarks.tables import Goal, Row, Section, comparison, extrapolated, medians, ratio
from benchmarks.worlds import Truth
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Role

DIRECTORY = Path(__file__).with_name(".peers")
MUTABLE = ["MUTABLE", "MUTABLE_WITH_EXCLUSION"]
_PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool; `accounts` are the two numbers of accounts that it is measured with.

    `command` gets the fake, the working directory and the environment's bin; `found` reads how
    many tag-mutable repositories it found.
    """

    name: str
    requirements: tuple[str, ...]
    accounts: tuple[int, int]
    command: Callable[[FakeAws, Path, Path], list[str]]
    found: Callable[[Path], int]
    statuses: tuple[int, ...] = (0,)
    tree: bool = False

    @property
    def environment(self) -> Path:
        """Where it is installed."""
        return DIRECTORY / self.name


def _members(aws: FakeAws) -> list[str]:
    """Return all accounts but the caller's own, which botocove cannot look at."""
    return [each.id for each in aws.world.accounts if each.id != aws.world.caller.account]


def _regions(aws: FakeAws) -> list[str]:
    return [name for name, state in aws.world.regions.items() if state.startswith("ENABLED")]


def _role_arn(aws: FakeAws, account: str) -> str:
    return f"arn:aws:iam::{account}:role/{aws.world.role.name}"


def _c7n_org(aws: FakeAws, directory: Path, binaries: Path) -> list[str]:
    accounts = [
        {"account_id": each, "name": each, "role": _role_arn(aws, each), "regions": _regions(aws)}
        for each in _members(aws)
    ]
    policy = {
        "name": "mutable",
        "resource": "aws.ecr",
        "filters": [{"type": "value", "key": "imageTagMutability", "op": "in", "value": MUTABLE}],
    }
    (directory / "cache").mkdir()
    (directory / "accounts.yml").write_text(json.dumps({"accounts": accounts}), encoding="utf-8")
    (directory / "policy.yml").write_text(json.dumps({"policies": [policy]}), encoding="utf-8")
    return [
        *(str(binaries / "c7n-org"), "run", "--config", "accounts.yml", "--use", "policy.yml"),
        *("--output-dir", "out", "--cache-path", "cache", "--cache-period", "0"),
    ]


def _c7n_org_found(directory: Path) -> int:
    files = list((directory / "out").glob("*/*/mutable/resources.json"))
    if not files:
        raise ValueError("no resources.json")
    return sum(len(json.loads(each.read_bytes())) for each in files)


def _botocove(aws: FakeAws, _: Path, binaries: Path) -> list[str]:
    program = _PROGRAMS / "peer_botocove.py"
    return [str(binaries / "python"), str(program), aws.world.role.name, *_regions(aws)]


def _awsrun(aws: FakeAws, directory: Path, binaries: Path) -> list[str]:
    (directory / "accounts.json").write_text(json.dumps(_members(aws)), encoding="utf-8")
    program = [str(binaries / "python"), str(_PROGRAMS / "peer_awsrun.py")]
    return [*program, aws.world.role.name, "accounts.json", *_regions(aws)]


def _prowler(aws: FakeAws, _: Path, binaries: Path) -> list[str]:
    (account,) = _members(aws)
    return [
        *(str(binaries / "prowler"), "aws", "--role", _role_arn(aws, account)),
        *("--check", "ecr_repositories_tag_immutability", "--region", *_regions(aws)),
        *("--output-formats", "csv", "--output-directory", "out", "--output-filename", "found"),
        *("--no-banner", "--no-color", "--ignore-exit-code-3"),
    ]


def _prowler_found(directory: Path) -> int:
    with (directory / "out" / "found.csv").open(encoding="utf-8", newline="") as file:
        return sum(row["STATUS"] == "FAIL" for row in csv.DictReader(file, delimiter=";"))


def _printed(directory: Path) -> int:
    return int((directory / "stdout.txt").read_text(encoding="utf-8").split()[-1])


PEERS = (
    Peer("c7n-org", ("c7n-org==0.6.52",), (1, 10), _c7n_org, _c7n_org_found, tree=True),
    Peer("botocove", ("botocove==1.7.4",), (1, 10), _botocove, _printed),
    Peer("awsrun", ("awsrun==3.2.1", "beautifulsoup4", "boto3"), (1, 10), _awsrun, _printed),
    # One run looks at one account: nothing is shared between accounts but the machine.
    Peer("prowler", ("prowler==5.46.0",), (0, 1), _prowler, _prowler_found),
)


def install() -> None:
    """Make every peer's environment that is not there; raises CalledProcessError."""
    for peer in PEERS:
        binaries, done = peer.environment / "bin", peer.environment / ".installed"
        if done.exists():
            continue
        subprocess.run([sys.executable, "-m", "venv", str(peer.environment)], check=True)
        pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--quiet", *peer.requirements], check=True)
        done.touch()


def _row(peer: Peer, accounts: int) -> tuple[Row, Measurement]:
    # One more: the caller's own account.
    world, truth = worlds.organization(accounts + 1, latency=0)
    # botocove reads Account.Status, which AWS retired, and the others more than sweeper's role may.
    world = dataclasses.replace(world, give_state=False, role=Role(actions=("*",)))
    targets = accounts * worlds.REGIONS
    truth = Truth(targets, targets * worlds.REPOSITORIES_PER_TARGET, accounts)
    contender = Contender(
        peer.name,
        lambda aws, directory: peer.command(aws, directory, peer.environment / "bin"),
        # It says how many it found, not among how many.
        lambda directory: dataclasses.replace(truth, found=peer.found(directory)),
        peer.statuses,
        peer.tree,
    )
    with FakeAws(world) as aws:
        measurement, _, _ = scenarios.measured(contender, aws)
    return medians(peer.name, [measurement], truth), measurement


def _scaled(peer: Peer) -> tuple[Row, Measurement]:
    """Return the peer's cost of all accounts, and the larger of its measurements."""
    low, high = peer.accounts
    many, measurement = _row(peer, high)
    few = (
        _row(peer, low)[0]
        if low
        else dataclasses.replace(many, wall=0, cpu=0, least_cpu=0, calls=0)
    )
    return extrapolated(few, many, (low, high, scenarios.SMALL)), measurement


def beside_sweeper() -> list[Section]:
    """Other tools, as far as installed, beside sweeper: few accounts, no latency, extrapolated."""
    accounts = scenarios.SMALL
    world, truth = worlds.organization(accounts, latency=0)
    scenarios.say(f"peers: {scenarios.described(accounts, truth, 0)}")
    with FakeAws(world) as aws:
        rows, runs = scenarios.compare(aws, {SWEEPER: 3, FLOOR: 3}, truth)
    notes = [
        "Peers: one round, the caller's own account left out; start-up counted once; peak MB and "
        "connections are those of the larger measurement. prowler starts anew for each account."
    ]
    goals = []
    for peer in PEERS:
        if not (peer.environment / ".installed").exists():
            notes.append(f"{peer.name}: not installed (python -m benchmarks.peers)")
            continue
        try:
            rows[peer.name], measurement = _scaled(peer)
        except ContenderFailed as error:
            notes.append(f"not measured: {error}")
            continue
        runs[peer.name] = [measurement]
        if measurement.errors:
            refused = Counter(measurement.errors).most_common(3)
            notes.append(f"{peer.name}: calls that the fake AWS refused: {refused}")
        if peer.name in ("c7n-org", "botocove"):
            times = ratio(rows[peer.name], rows["sweeper"])
            goals.append(Goal(f"{peer.name}'s CPU, times sweeper's", times, 50, True))
    columns, cells = comparison(list(rows.values()), truth)
    title = scenarios.described(accounts, truth, 0)
    data = scenarios.data_of(runs)
    return [Section("peers", title, columns, cells, tuple(goals), tuple(notes), data)]


if __name__ == "__main__":
    install()
