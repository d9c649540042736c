"""Read and write ECR repositories and creation templates in a member account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sweeper.aws.client.answers import (
    MAX_OPAQUE,
    add_once,
    optional_str,
    require,
    require_datetime,
    require_list,
    require_match,
    require_str,
    require_strs,
)
from sweeper.aws.client.clients import Clients
from sweeper.aws.client.credentials import bound_to
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.client.paging import PageTokens
from sweeper.aws.client.parsers import NOT_MODELLED
from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask_message
from sweeper.domain.model import (
    REPOSITORY_NAME,
    TEMPLATE_PREFIX,
    Image,
    Repository,
    Target,
    is_arn_of,
)
from sweeper.domain.mutability import CreationTemplate, setting_of
from sweeper.domain.reasons import Reason

_FILTERS = "imageTagMutabilityExclusionFilters"
_PAGE_SIZE = 1000  # ECR: maxResults, 1 to 1000, default 100
_MAX_NAMES = 100  # ECR: DescribeRepositories, repositoryNames
# Texts of a creation template that an update must repeat, because ECR may reset what it lacks.
_KEPT_TEXTS = ("customRoleArn", "description", "lifecyclePolicy", "repositoryPolicy")


class EcrRegistry:
    """ECR in the account and region of a target; every method raises OperationFailed."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def repositories(self, target: Target) -> Iterator[Repository]:
        """Yield every repository of the registry once, page by page."""
        known: dict[str, tuple[object, ...]] = {}
        alike: dict[tuple[object, ...], tuple[object, ...]] = {}  # most settings: one in memory
        for page in self.pages(target, "describe_repositories"):
            for item in require_list(page, "repositories"):
                repository = _repository(target, item)
                setting = *setting_of(repository), repository.filter_types
                shared = alike.setdefault(setting, setting)
                if add_once(known, repository.name, shared, "repository"):
                    yield repository

    def repository(self, target: Target, name: str) -> Repository | None:
        """Read the repository; None if it was deleted."""
        found = self.named_repositories(target, (name,))
        return found[0] if found else None

    def named_repositories(self, target: Target, names: Sequence[str]) -> list[Repository] | None:
        """Read at most 100 repositories; None if one of them was deleted."""
        response = self._find(target, "describe_repositories", repositoryNames=[*names])
        if response is None:
            return None
        found = [_repository(target, item) for item in require_list(response, "repositories")]
        if sorted(repository.name for repository in found) != sorted(names):
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE,
                f"{len(found)} repositories in the answer for {len(names)}, or others",
            )
        return found

    def pull_through_cache_prefixes(self, target: Target) -> tuple[str, ...]:
        """Read the repository prefixes of the registry's pull-through cache rules."""
        return tuple(
            require_str(rule, "ecrRepositoryPrefix")
            for page in self.pages(target, "describe_pull_through_cache_rules")
            for rule in require_list(page, "pullThroughCacheRules")
        )

    def images(self, target: Target, name: str) -> Iterator[Image]:
        """Yield every image of the repository that is not archived, page by page."""
        for page in self.pages(target, "describe_images", repositoryName=name):
            for item in require_list(page, "imageDetails"):
                if (require_str(item, "registryId"), require_str(item, "repositoryName")) != (
                    target.account.id,
                    name,
                ):
                    raise OperationFailed(
                        Reason.UNEXPECTED_RESPONSE, "an image of another repository in the answer"
                    )
                pushed_at = (
                    require_datetime(item, "imagePushedAt") if "imagePushedAt" in item else None
                )
                yield Image(
                    require_strs(item, "imageTags") if "imageTags" in item else (), pushed_at
                )

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        """Write the setting, and return the setting in ECR's answer.

        If it fails and ECR did not refuse it, the message says that it may have taken effect.
        """
        setting = _setting(mutability, filters)
        with _writing():
            response = self.call(
                target, "put_image_tag_mutability", write=True, repositoryName=name, **setting
            )
            answered = require_str(response, "registryId"), require_str(response, "repositoryName")
            if answered != (target.account.id, name):
                raise _unexpected_answer(
                    f"ECR answered for {answered[1]!r} of registry {answered[0]!r}"
                )
            return Repository(
                name, "", require_str(response, "imageTagMutability"), *_exclusions(response)
            )

    def repository_creation_templates(self, target: Target) -> Iterator[CreationTemplate]:
        """Yield the creation template of every prefix once, page by page."""
        known: dict[str, CreationTemplate] = {}
        for page in self.pages(target, "describe_repository_creation_templates"):
            _refuse_foreign(target, page, "creation templates")
            for template in map(_template, require_list(page, "repositoryCreationTemplates")):
                if add_once(known, template.prefix, template, "creation template"):
                    yield template

    def repository_creation_template(self, target: Target, prefix: str) -> CreationTemplate | None:
        """Read the creation template; None if it was deleted."""
        response = self._find(target, "describe_repository_creation_templates", prefixes=[prefix])
        if response is None:
            return None
        _refuse_foreign(target, response, "creation templates")
        found = [_template(item) for item in require_list(response, "repositoryCreationTemplates")]
        if found and [template.prefix for template in found] != [prefix]:
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE,
                f"{len(found)} creation templates in the answer for one, or another one",
            )
        return found[0] if found else None

    def update_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> CreationTemplate:
        """Write the setting, with `rest` as it was read; return the template in ECR's answer.

        If it fails and ECR did not refuse it, the message says that it may have taken effect.
        """
        fields = json.loads(rest) | _setting(mutability, filters)
        return self._write_template(target, "update", prefix, fields)

    def create_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> CreationTemplate:
        """Create the template; see `update_repository_creation_template`."""
        fields = json.loads(rest) | _setting(mutability, filters)
        return self._write_template(target, "create", prefix, fields)

    def delete_repository_creation_template(self, target: Target, prefix: str) -> None:
        """Delete the template."""
        self._write_template(target, "delete", prefix, {})

    def _write_template(
        self, target: Target, verb: str, prefix: str, fields: Mapping[str, Any]
    ) -> CreationTemplate:
        """Create, update or delete a template; return it as ECR's answer has it.

        A delete's answer has the template as it was.
        """
        operation = f"{verb}_repository_creation_template"
        with _writing():
            response = self.call(target, operation, write=True, prefix=prefix, **fields)
            written = _template(require(response, "repositoryCreationTemplate"))
            if written.prefix != prefix:
                raise _unexpected_answer(
                    f"ECR answered with the creation template {written.prefix!r}"
                )
            return written

    def _find(self, target: Target, operation: str, **parameters: Any) -> Any:
        """Call an operation on a named item; None if that was deleted."""
        try:
            return self.call(target, operation, **parameters)
        except OperationFailed as error:
            if error.reason is Reason.REPOSITORY_DELETED:
                return None
            raise

    def call(
        self, target: Target, operation: str, *, write: bool = False, **parameters: Any
    ) -> Any:
        """Call an operation."""
        client = self._clients.member("ecr", target.region)
        with bound_to(target.account.id), translate_errors(write=write):
            return getattr(client, operation)(**parameters)

    def pages(
        self, target: Target, operation: str, **parameters: Any
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of an operation's answer; each is read when it is needed."""
        # Not the SDK's paginator, which costs a sixteenth of a call.
        token: dict[str, Any] = {}
        tokens = PageTokens()
        while True:
            # `call` binds the account for each page: around the yield, it would bind callers, too.
            page = self.call(target, operation, maxResults=_PAGE_SIZE, **parameters, **token)
            yield page
            if not (following := tokens.follow(page, "nextToken")):
                return
            token = {"nextToken": following}


class NamedRegistry(EcrRegistry):
    """ECR, of which only named repositories are listed; every method raises OperationFailed.

    `names` are the repositories by account id and region. `absent` has the account id, region and
    name of each repository that is gone. `denied` has, by account id and region, the names and
    failures of those that cannot be read although others can.
    """

    def __init__(self, clients: Clients, names: Mapping[tuple[str, str], Sequence[str]]) -> None:
        super().__init__(clients)
        self._names = names
        self.absent: set[tuple[str, str, str]] = set()  # adding to a set is atomic
        self.denied: dict[tuple[str, str], dict[str, OperationFailed]] = {}

    def repositories(self, target: Target) -> Iterator[Repository]:
        """Read the named repositories, without those that are gone or denied."""
        every = self._names.get(target.key, ())
        for start in range(0, len(every), _MAX_NAMES):
            names = every[start : start + _MAX_NAMES]
            try:
                found = self.named_repositories(target, names)
            except OperationFailed as error:
                if len(names) == 1 or not error.reason.is_denial:
                    raise
                found = None
            if found is None:  # one is gone or denied, and ECR answers nothing about the others
                found = self._read_one_by_one(target, names)
            yield from found

    def _read_one_by_one(self, target: Target, names: Sequence[str]) -> list[Repository]:
        """Read the repositories. Raises OperationFailed if all of them are denied."""
        found: list[Repository] = []
        denied: dict[str, OperationFailed] = {}
        for name in names:
            try:
                repository = self.repository(target, name)
            except OperationFailed as error:
                denied[name] = error
                if len(denied) == len(names) or not error.reason.is_denial:
                    raise
                continue
            if repository:
                found.append(repository)
            else:
                self.absent.add((*target.key, name))
        self.denied.setdefault(target.key, {}).update(denied)
        return found


@contextmanager
def _writing() -> Iterator[None]:
    """Add to an error that the write may have taken effect, if ECR did not refuse it."""
    try:
        yield
    except OperationFailed as error:
        if error.uncertain:
            raise OperationFailed(
                error.reason,
                f"{error.message}; the write may have taken effect",
                error.error_code,
                uncertain=True,
            ) from None
        raise


def _refuse_foreign(target: Target, answer: Mapping[str, Any], what: str) -> None:
    """Raise OperationFailed for an answer about another account than the target's."""
    registry = require_str(answer, "registryId")
    if registry != target.account.id:
        raise OperationFailed(
            Reason.UNEXPECTED_RESPONSE,
            f"{what} of registry {registry} in the answer for {target.account.id}",
        )


def _setting(mutability: str, filters: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of a write; an empty list of filters is refused."""
    setting: dict[str, Any] = {"imageTagMutability": mutability}
    if filters:
        setting[_FILTERS] = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    return setting


def _unexpected_answer(what: str) -> OperationFailed:
    return OperationFailed(Reason.UNEXPECTED_RESPONSE, what, uncertain=True)


def _template(item: Mapping[str, Any]) -> CreationTemplate:
    rest: dict[str, Any] = {
        key: optional_str(item, key, MAX_OPAQUE) for key in _KEPT_TEXTS if item.get(key) is not None
    }
    if item.get("encryptionConfiguration") is not None:
        rest["encryptionConfiguration"] = _structure(
            item["encryptionConfiguration"], "encryptionType", "kmsKey"
        )
    # Lists are sorted: their order means nothing.
    applied_for: list[str] = []
    if item.get("appliedFor") is not None:
        applied_for = rest["appliedFor"] = sorted(require_strs(item, "appliedFor"))
    if item.get("resourceTags") is not None:
        tags = (_structure(tag, "Key", "Value") for tag in require_list(item, "resourceTags"))
        rest["resourceTags"] = sorted(tags, key=str)
    return CreationTemplate(
        require_match(item, "prefix", TEMPLATE_PREFIX),
        optional_str(item, "imageTagMutability"),
        *_exclusions(item),
        applied_for=tuple(applied_for),
        custom_role_arn=optional_str(item, "customRoleArn"),
        rest=json.dumps(rest, sort_keys=True),
        not_modelled=tuple(item.get(NOT_MODELLED, ())),
    )


def _structure(value: Any, first: str, second: str) -> dict[str, str]:
    """Read a structure of two texts, the second of which may be empty or missing."""
    found = {first: require_str(value, first)}
    if value.get(second) is not None:
        found[second] = optional_str(value, second)
    if strange := value.keys() - {first, second}:
        raise _unexpected_answer(f"{mask_message(min(map(str, strange)))[:40]!r} beside {first}")
    return found


def _repository(target: Target, item: Mapping[str, Any]) -> Repository:
    """Read a repository. Raises OperationFailed for a name or an ARN that an undo would refuse."""
    _refuse_foreign(target, item, "a repository")
    name = require_match(item, "repositoryName", REPOSITORY_NAME)
    arn = require_str(item, "repositoryArn")
    if not is_arn_of(arn, target.account.id, target.region, name):
        raise OperationFailed(
            Reason.UNEXPECTED_RESPONSE,
            f"repositoryArn is {mask_message(arn)[:100]!r}: it is not that of {name!r}",
        )
    return Repository(name, arn, optional_str(item, "imageTagMutability"), *_exclusions(item))


def _exclusions(item: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the exclusion filters, and the type of each."""
    entries = require_list(item, _FILTERS) if item.get(_FILTERS) else ()
    filters = tuple(require_str(entry, "filter") for entry in entries)
    return filters, tuple(require_str(entry, "filterType") for entry in entries)
