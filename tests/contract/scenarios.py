"""Everything that is asked of every endpoint."""

from __future__ import annotations

from tests.contract.destinations import OTHERS, S3, SNS
from tests.contract.organization import ORGANIZATION, POLICIES, SESSIONS
from tests.contract.registries import IMAGES, REGISTRIES, REPOSITORIES

SCENARIOS = (
    *(*ORGANIZATION, *SESSIONS, *POLICIES),
    *(*REPOSITORIES, *IMAGES, *REGISTRIES),
    *(*S3, *SNS, *OTHERS),
)
