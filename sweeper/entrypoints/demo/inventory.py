"""The data of the demo's organization: accounts, regions, repositories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

IMMUTABLE, MUTABLE = "IMMUTABLE", "MUTABLE"
IMMUTABLE_BUT, MUTABLE_BUT = "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"
SIGNATURES = "sha256-*"  # where Cosign keeps signatures: the demo's policy allows it

ORGANIZATIONAL_UNITS = (  # parents first
    ("Security",),
    ("Workloads",),
    ("Workloads", "Production"),
    ("Workloads", "Staging"),
    ("Sandbox",),
)


@dataclass(frozen=True, slots=True)
class Repositories:
    """Some repositories of one registry with the same setting."""

    region: str
    names: Sequence[str]
    mutability: str = IMMUTABLE
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _PullThroughCacheRule:
    """Repositories below `prefix/` in the region are filled from the registry `upstream`."""

    region: str
    prefix: str
    upstream: str


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account; the first of ACCOUNTS is the management account."""

    name: str
    ou: tuple[str, ...]
    regions: tuple[str, ...]
    repositories: tuple[Repositories, ...] = ()
    suspended: bool = False
    has_member_role: bool = True
    pull_through_cache_rules: tuple[_PullThroughCacheRule, ...] = ()


def _words(text: str, below: str = "") -> list[str]:
    return [below + word for word in text.split()]


def _services(team: str, *services: str, parts: Iterable[str] = ("api", "worker")) -> list[str]:
    return [f"{team}/{service}-{part}" for service, part in product(services, parts)]


_TEAMS = _words(
    "accounts billing catalog checkout delivery fraud identity inventory notifications orders "
    "platform pricing recommendations returns search"
)
_SERVICES = _words(
    "archive audit cache calendar contacts currency documents events exports gateway history "
    "imports ledger limits profiles reports rules schedules sessions webhooks"
)
_PARTS = ("api", "jobs", "web", "worker")
_EVERY_SERVICE = [name for team in _TEAMS for name in _services(team, *_SERVICES, parts=_PARTS)]

_SHARED_SERVICES = (
    Repositories("eu-central-1", _EVERY_SERVICE),
    Repositories(
        "eu-central-1",
        _words("go java-17 java-21 node-20 node-22 python static ubi", "base/"),
        IMMUTABLE_BUT,
        (SIGNATURES,),
    ),
    Repositories(
        "eu-central-1",
        _words("centos-7 java-8 node-14 php-7 python-2", "base-legacy/"),
        IMMUTABLE_BUT,
        (SIGNATURES, "latest"),
    ),
    Repositories(
        "eu-central-1",
        _words("dive grype helm jq kubectl renovate syft terraform trivy", "tools/"),
        MUTABLE_BUT,
        ("release-*",),
    ),
    Repositories(
        "eu-central-1",
        _words(
            "grafana/grafana grafana/loki library/alpine library/busybox library/debian "
            "library/nginx library/node library/postgres library/python library/redis "
            "library/traefik prom/prometheus",
            "docker-hub/",
        ),
        MUTABLE,
    ),
    Repositories("us-east-1", _services("platform", *_SERVICES)),
    Repositories("us-east-1", ["replica/checkout", "replica/orders", "replica/payments"], MUTABLE),
)

_PAYMENTS = _services("payments", "authorise", "capture", "disputes", "payouts", "refunds", "risk")
_STOREFRONT = _services("storefront", "basket", "images", "landing", "menu", "reviews", "wishlist")
_DATA = _services("data", "airflow", "dbt", "kafka-connect", "lineage", "metrics", "quality")
_PREVIEWS = [f"storefront/preview-{number}" for number in range(101, 111)]

ACCOUNTS = (
    DemoAccount("management", (), ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")),
    DemoAccount(
        "log-archive",
        ("Security",),
        ("eu-central-1", "eu-west-1", "us-east-1", "us-east-2"),
    ),
    DemoAccount(
        "security-tooling",
        ("Security",),
        ("eu-central-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-2"),
        (Repositories("eu-central-1", _services("scanners", "images", "secrets", "licences")),),
    ),
    DemoAccount(
        "shared-services",
        ("Workloads", "Production"),
        ("ap-southeast-1", "eu-central-1", "eu-central-2", "eu-west-1", "us-east-1", "us-west-2"),
        _SHARED_SERVICES,
        pull_through_cache_rules=(
            _PullThroughCacheRule("eu-central-1", "docker-hub", "registry-1.docker.io"),
        ),
    ),
    DemoAccount(
        "payments-production",
        ("Workloads", "Production"),
        ("eu-central-1", "eu-central-2", "eu-north-1", "eu-west-1"),
        (
            Repositories("eu-central-1", _PAYMENTS),
            Repositories("eu-west-1", _PAYMENTS),
            Repositories("eu-west-1", ["payments/hsm-proxy"], IMMUTABLE_BUT, (SIGNATURES,)),
        ),
    ),
    DemoAccount(
        "storefront-production",
        ("Workloads", "Production"),
        ("ap-northeast-1", "ap-southeast-1", "eu-central-1", "sa-east-1", "us-east-1", "us-west-2"),
        (
            Repositories("ap-southeast-1", _STOREFRONT),
            Repositories("eu-central-1", _STOREFRONT),
            Repositories("us-east-1", _STOREFRONT),
        ),
    ),
    DemoAccount(
        "data-platform-production",
        ("Workloads", "Production"),
        ("eu-central-1", "eu-west-1", "eu-west-2", "us-east-1", "us-west-2"),
        (
            Repositories("eu-central-1", _DATA),
            Repositories("eu-west-1", _DATA),
            Repositories(
                "eu-west-1", _services("spark", "clicks", "orders", "prices", "stock"), MUTABLE
            ),
            Repositories("eu-west-1", _words("etl joins udf", "spark/legacy-"), MUTABLE),
        ),
    ),
    DemoAccount(  # bought last month: the StackSet has not reached it
        "brightcart",
        ("Workloads", "Production"),
        ("eu-west-1", "us-east-1", "us-east-2", "us-west-2"),
        (Repositories("us-east-1", _services("brightcart", "api", "shop"), MUTABLE),),
        has_member_role=False,
    ),
    DemoAccount(
        "payments-staging",
        ("Workloads", "Staging"),
        ("eu-central-1", "eu-north-1", "eu-west-1", "us-east-1"),
        (Repositories("eu-central-1", _PAYMENTS),),
    ),
    DemoAccount(
        "storefront-staging",
        ("Workloads", "Staging"),
        ("ap-southeast-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"),
        (
            Repositories("eu-central-1", _STOREFRONT),
            Repositories("eu-central-1", _PREVIEWS, MUTABLE),
            Repositories("us-east-1", _STOREFRONT),
            Repositories("us-east-1", _PREVIEWS[:4], MUTABLE),
        ),
    ),
    DemoAccount(
        "sandbox-machine-learning",
        ("Sandbox",),
        ("ap-south-1", "ca-central-1", "eu-central-1", "us-east-1", "us-west-2"),
        (
            Repositories("eu-central-1", _services("models", "embeddings", "ranking", "vision")),
            Repositories(
                "eu-central-1",
                [f"sandbox/experiment-{number:02}" for number in range(1, 16)],
                MUTABLE,
            ),
            Repositories(
                "eu-central-1",
                _services(
                    "notebooks", "cpu", "gpu", "large", "spark", parts=("base", "dev", "school")
                ),
                MUTABLE,
            ),
            Repositories(
                "us-west-2",
                _services("training", "diffusion", "llm", "vision", parts=("run", "tune")),
                MUTABLE,
            ),
        ),
    ),
    DemoAccount(
        "hackathon-2025",
        ("Sandbox",),
        ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2"),
        suspended=True,
    ),
)
