"""The fake AWS behind AWS's own names, by TLS: a host for each service and region."""

from __future__ import annotations

from pathlib import Path

from tests.authority import Authority
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

_RESOLVER = Path(__file__).with_name("resolver")


class AwsByTls(FakeAws):
    """A process whose clients, those with its `environment`, have no endpoint URL and one CA."""

    def __init__(self, world: World, directory: Path) -> None:
        """`directory` is for the certificates."""
        authority = Authority(directory, "benchmark")
        names = [
            f"{prefix}.{region}.amazonaws.com"
            for region in world.regions
            for prefix in ("*", "*.ecr")
        ]
        super().__init__(world, tls=authority.certificate(*names))
        self._bundle = authority.bundle

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the world's caller, with which AWS's names lead here."""
        caller = {
            name: value for name, value in super().environment.items() if name != "AWS_ENDPOINT_URL"
        }
        return caller | {
            "AWS_CA_BUNDLE": str(self._bundle),
            "FAKE_AWS_TLS_PORT": str(self.tls_port),
            "PYTHONPATH": str(_RESOLVER),
        }
