"""The parts of AWS that moto 5.2 lacks and the sweep needs, added for as long as a context lasts.

- account:ListRegions, which moto does not have
- the Paths of an account in organizations:ListAccounts, which moto leaves out
- ecr:DescribeRepositories in pages, which moto answers whole
- ecr:DescribePullThroughCacheRules, which moto does not have
- ecr:PutImageTagMutability answers with the exclusion filters, which moto leaves out
- sts:AssumeRole is refused where the role does not exist; moto gives credentials for any name
- one request at a time: moto is not safe with threads in one process
"""

from __future__ import annotations

import base64
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from xml.sax.saxutils import escape

from botocore.session import get_session
from moto.account import urls as account_urls
from moto.account.responses import AccountResponse
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.responses import ActionResult
from moto.ecr.exceptions import InvalidParameterException
from moto.ecr.responses import ECRResponse
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.organizations.models import FakeAccount
from moto.sts.responses import TokenResponse

from sweeper.aws.client.partitions import ON_BY_DEFAULT

_T = TypeVar("_T")

_LIST_REGIONS_PATH = "{0}/listRegions$"
_ECR_PAGE_LIMIT = 1000
_ABSENT = object()
# Written out: STS's model has no AccessDenied, so moto would answer 400, with a warning.
_ASSUME_ROLE_DENIED = """\
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>AccessDenied</Code>
    <Message>User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}</Message>
  </Error>
  <RequestId>moto</RequestId>
</ErrorResponse>
"""


class Additions:
    """The data that moto cannot store: regions, OU path and pull-through cache rules."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._enabled: dict[str, frozenset[str]] = {}
        self._rules: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._names = tuple(sorted(get_session().get_available_regions("ecr")))

    def enable_regions(self, account_id: str, names: Iterable[str]) -> None:
        """Enable these regions in the account, and no others.

        AWS cannot switch off a region that is on by default; here it can, to keep a demo small.
        """
        enabled = frozenset(names)
        if unknown := enabled.difference(self._names):
            raise ValueError(f"not regions of ECR: {', '.join(sorted(unknown))}")
        self._enabled[account_id] = enabled

    def regions(self, account_id: str) -> list[tuple[str, str]]:
        """Return every region with its RegionOptStatus in the account."""
        enabled = self._enabled.get(account_id, ON_BY_DEFAULT)
        return [
            (name, _opt_status(name) if name in enabled else "DISABLED") for name in self._names
        ]

    def set_path(self, account_id: str, path: str) -> None:
        """Set where the account is: ``o-…/r-…/ou-…/<account>/``."""
        self._paths[account_id] = path

    def paths(self, account_id: str) -> list[str]:
        """Return the account's paths, of which AWS knows one; none where none was set."""
        return [self._paths[account_id]] if account_id in self._paths else []

    def add_pull_through_cache_rule(
        self, account_id: str, region: str, prefix: str, upstream: str
    ) -> None:
        """Repositories below `prefix/` are filled from the registry `upstream`."""
        now = datetime.now(UTC)
        self._rules[account_id, region].append(
            {
                "ecrRepositoryPrefix": prefix,
                "upstreamRegistryUrl": upstream,
                "createdAt": now,
                "updatedAt": now,
                "registryId": account_id,
            }
        )

    def pull_through_cache_rules(self, account_id: str, region: str) -> Sequence[Mapping[str, Any]]:
        """Return the rules of the registry."""
        return self._rules.get((account_id, region), ())


@contextmanager
def install() -> Iterator[Additions]:
    """Install everything into moto, and put back what was there; use it with `mock_aws`."""
    additions = Additions()
    with ExitStack() as stack:
        for owner, name, value in (
            (BotocoreStubber, "process_request", _serialize(BotocoreStubber.process_request)),
            (AccountResponse, "list_regions", _list_regions(additions)),
            (ECRResponse, "describe_repositories", _describe_repositories),
            (ECRResponse, "describe_pull_through_cache_rules", _describe_rules(additions)),
            (
                ECRResponse,
                "put_image_tag_mutability",
                _with_exclusion_filters(ECRResponse.put_image_tag_mutability),
            ),
            (FakeAccount, "describe", _with_paths(FakeAccount.describe, additions)),
            (TokenResponse, "assume_role", _of_existing_roles(TokenResponse.assume_role)),
        ):
            stack.enter_context(_replace_attribute(owner, name, value))
        had_path = _LIST_REGIONS_PATH in account_urls.url_paths
        if not had_path:
            account_urls.url_paths[_LIST_REGIONS_PATH] = AccountResponse.dispatch
            stack.callback(account_urls.url_paths.pop, _LIST_REGIONS_PATH)
        yield additions


@contextmanager
def _replace_attribute(owner: type, name: str, value: object) -> Iterator[None]:
    """Replace or add the class's own attribute inside."""
    original = vars(owner).get(name, _ABSENT)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if original is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _serialize(original: Callable[..., _T]) -> Callable[..., _T]:
    lock = threading.RLock()  # moto's own code may make requests, too

    def process_request(*args: Any, **kwargs: Any) -> _T:
        with lock:
            return original(*args, **kwargs)

    return process_request


# --- operations: methods of moto's response classes, called by their AWS names --------------------


def _list_regions(additions: Additions) -> Callable[[AccountResponse], ActionResult]:
    def list_regions(self: AccountResponse) -> ActionResult:
        wanted = self._get_param("RegionOptStatusContains")
        regions = [
            {"RegionName": name, "RegionOptStatus": status}
            for name, status in additions.regions(self._get_account_id())
            if not wanted or status in wanted
        ]
        page, token = _page(
            regions, self._get_param("MaxResults", 50), self._get_param("NextToken")
        )
        return ActionResult({"Regions": page} | ({"NextToken": token} if token else {}))

    return list_regions


def _describe_repositories(self: ECRResponse) -> ActionResult:
    names = self._get_param("repositoryNames")
    repositories = self.ecr_backend.describe_repositories(
        repository_names=names, registry_id=self._get_param("registryId")
    )
    if names:
        return ActionResult({"repositories": repositories})
    return _ecr_page(self, "repositories", repositories)


def _describe_rules(additions: Additions) -> Callable[[ECRResponse], ActionResult]:
    def describe_pull_through_cache_rules(self: ECRResponse) -> ActionResult:
        if self._get_param("ecrRepositoryPrefixes"):
            raise NotImplementedError("the sweep reads all rules")
        rules = additions.pull_through_cache_rules(self.current_account, self.region)
        return _ecr_page(self, "pullThroughCacheRules", rules)

    return describe_pull_through_cache_rules


def _with_exclusion_filters(
    original: Callable[[ECRResponse], ActionResult],
) -> Callable[[ECRResponse], ActionResult]:
    def put_image_tag_mutability(self: ECRResponse) -> ActionResult:
        written: Any = original(self).result
        filters = self._get_param("imageTagMutabilityExclusionFilters")
        return ActionResult(
            written | ({"imageTagMutabilityExclusionFilters": filters} if filters else {})
        )

    return put_image_tag_mutability


def _of_existing_roles(
    original: Callable[[TokenResponse], ActionResult],
) -> Callable[[TokenResponse], Any]:
    def assume_role(self: TokenResponse) -> Any:
        arn = str(self._get_param("RoleArn"))
        account_id = (arn.split(":") + [""] * 5)[4]
        try:
            iam_backends[account_id][self.partition].get_role_by_arn(arn)
        except NotFoundException:
            _, caller, _ = self.backend.get_caller_identity(self.get_access_key(), self.region)
            return _ASSUME_ROLE_DENIED.format(user=escape(caller), role=escape(arn)), {
                "status": 403
            }
        return original(self)

    return assume_role


def _with_paths(
    original: Callable[[FakeAccount], dict[str, Any]], additions: Additions
) -> Callable[[FakeAccount], dict[str, Any]]:
    def describe(self: FakeAccount) -> dict[str, Any]:
        paths = additions.paths(self.id)
        return original(self) | ({"Paths": paths} if paths else {})

    return describe


def _ecr_page(response: ECRResponse, key: str, items: Sequence[object]) -> ActionResult:
    """Return one page as ECR does: 100 items where not asked otherwise, at most 1,000."""
    size = response._get_param("maxResults", 100)  # noqa: SLF001 (how moto's responses read)
    token = response._get_param("nextToken")  # noqa: SLF001
    if not 1 <= size <= _ECR_PAGE_LIMIT:
        raise InvalidParameterException(
            f"Invalid parameter at 'maxResults' failed to satisfy constraint: "
            f"'Member must be between 1 and {_ECR_PAGE_LIMIT}'"
        )
    try:
        page, next_token = _page(items, size, token)
    except ValueError:
        raise InvalidParameterException("Invalid parameter at 'nextToken'") from None
    return ActionResult({key: page} | ({"nextToken": next_token} if next_token else {}))


def _page(items: Sequence[_T], size: int, token: str | None) -> tuple[list[_T], str | None]:
    """Return the page that `token` stands for, and the token of the next one, if there is one."""
    start = int(base64.b64decode(token, validate=True)) if token else 0
    end = start + size
    more = end < len(items)
    return list(items[start:end]), base64.b64encode(str(end).encode()).decode() if more else None


def _opt_status(region: str) -> str:
    return "ENABLED_BY_DEFAULT" if region in ON_BY_DEFAULT else "ENABLED"
