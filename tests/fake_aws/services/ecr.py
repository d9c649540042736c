"""Amazon ECR: repositories and images, tag mutability, pull-through rules, creation templates."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Any, get_args

from tests.fake_aws.generate import DNS_SUFFIX
from tests.fake_aws.iam import glob
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json
from tests.fake_aws.world import AppliedFor, CreationTemplate, Image, Mutability, Repository

if TYPE_CHECKING:
    from tests.fake_aws.world import PullThroughRule

SERVICE = Service("ecr", Json(), Codes(), target="AmazonEC2ContainerRegistry_V20150921")
_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
_MOST_FILTERS = 5
_MOST_WILDCARDS = 2
_MOST_NAMES = 100
_CREATED = 1_700_000_000.0


def _arn(call: Call, rest: str, account: str | None = None) -> str:
    return (
        f"arn:{call.partition}:ecr:{call.region}:{account or call.principal.account}:"
        f"repository/{rest}"
    )


def _own_registry(call: Call, action: str, rest: str) -> str:
    """Give the registry's account, authorised; another account's registry is refused."""
    account = call.principal.account
    wanted = call.params.get("registryId", account)
    if wanted != account:
        raise call.service.error(
            call.service.codes.denied,
            f"User: {call.principal.arn} is not authorized to perform: {action} on resource: "
            f"{_arn(call, rest, str(wanted))} because no resource-based policy allows the {action} "
            "action",
        )
    call.allow(action, _arn(call, rest))
    return account


def _missing(call: Call, name: str) -> ApiError:
    return ApiError(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id "
        f"'{call.principal.account}'",
    )


def _filters(filters: tuple[str, ...]) -> dict[str, Any]:
    if not filters:
        return {}
    given = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    return {"imageTagMutabilityExclusionFilters": given}


def _described(call: Call, host: str, arn: str, each: Repository) -> dict[str, Any]:
    return {
        "repositoryArn": arn + each.name,
        "registryId": call.principal.account,
        "repositoryName": each.name,
        "repositoryUri": f"{host}/{each.name}",
        "createdAt": _CREATED,
        "imageTagMutability": each.mutability,
        **_filters(each.exclusion_filters),
        "imageScanningConfiguration": {"scanOnPush": each.scan_on_push},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


@SERVICE.operation("DescribeRepositories")
def describe_repositories(call: Call) -> dict[str, Any]:
    """List repositories, or give those named: all of them or none."""
    names = call.params.get("repositoryNames")
    account = call.principal.account
    registries = call.state.registries
    if names is None:
        _own_registry(call, "ecr:DescribeRepositories", "*")
        found, more = call.page(
            lambda start, stop: registries.part(account, call.region, start, stop),
            registries.count(account, call.region),
            call.number("maxResults", 100, 1000),
            token="nextToken",
        )
    else:
        found, more = _named(call, names), {}
    host = f"{account}.dkr.ecr.{call.region}.{DNS_SUFFIX[call.partition]}"
    arn = _arn(call, "")
    return {"repositories": [_described(call, host, arn, each) for each in found], **more}


def _named(call: Call, names: Any) -> list[Repository]:
    if not isinstance(names, list) or not 1 <= len(names) <= _MOST_NAMES:
        raise call.invalid(
            "Invalid parameter at 'repositoryNames' failed to satisfy constraint: 1 to 100 names"
        )
    if "maxResults" in call.params or "nextToken" in call.params:
        raise call.invalid(
            "Invalid parameter: 'repositoryNames' may not be specified together with 'maxResults' "
            "or 'nextToken'"
        )
    found = []
    for name in names:
        account = _own_registry(call, "ecr:DescribeRepositories", name)
        each = call.state.registries.find(account, call.region, name)
        if each is None:
            raise _missing(call, name)
        found.append(each)
    return found


@SERVICE.operation("ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """List a repository's tags: none has any."""
    arn = call.text("resourceArn")
    name = arn.partition(":repository/")[2]
    account = _own_registry(call, "ecr:ListTagsForResource", name)
    if arn != _arn(call, name):
        raise call.invalid(f"Invalid parameter at 'resourceArn': {arn}")
    if call.state.registries.find(account, call.region, name) is None:
        raise _missing(call, name)
    return {"tags": []}


@SERVICE.operation("PutImageTagMutability")
def put_image_tag_mutability(call: Call) -> dict[str, Any]:
    """Change one repository; every attempt is recorded, with whether it was accepted."""
    record: dict[str, Any] = {
        "account": call.principal.account,
        "region": call.region,
        "repository": call.params.get("repositoryName"),
        "mutability": call.params.get("imageTagMutability"),
        "filters": call.params.get("imageTagMutabilityExclusionFilters"),
        "accepted": False,
        "fault": None,  # of the answer
    }
    call.state.counters.writes.append(record)
    name = call.text("repositoryName")
    account = _own_registry(call, "ecr:PutImageTagMutability", name)
    mutability = call.text("imageTagMutability")
    if mutability not in get_args(Mutability):
        raise call.invalid(
            "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: "
            f"'Member must satisfy enum value set: [{', '.join(get_args(Mutability))}]'"
        )
    filters = _checked_filters(call, mutability)
    before = call.state.registries.find(account, call.region, name)
    if before is None:
        raise _missing(call, name)
    changed = dataclasses.replace(
        before,
        mutability=mutability,  # type: ignore[arg-type]  # an enum value
        exclusion_filters=filters,
    )
    call.state.registries.put(account, call.region, changed)
    record["accepted"] = True
    return {
        "registryId": account,
        "repositoryName": name,
        "imageTagMutability": mutability,
        **_filters(filters),
    }


def _checked_filters(call: Call, mutability: str) -> tuple[str, ...]:
    where = (
        "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
    )
    given = call.params.get("imageTagMutabilityExclusionFilters")
    if not mutability.endswith("_WITH_EXCLUSION"):
        if given is not None:
            raise call.invalid(f"{where}'exclusion filters cannot be specified with {mutability}'")
        return ()
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_FILTERS:
        raise call.invalid(f"{where}'1 to {_MOST_FILTERS} filters are required with {mutability}'")
    for each in given:
        if not isinstance(each, dict) or each.get("filterType") != "WILDCARD":
            raise call.invalid(f"{where}'filterType must be WILDCARD'")
        pattern = each.get("filter")
        if not isinstance(pattern, str) or not _FILTER.fullmatch(pattern):
            raise call.invalid(
                f"{where}'Member must satisfy regular expression pattern: ^{_FILTER.pattern}$'"
            )
        if pattern.count("*") > _MOST_WILDCARDS:
            raise call.invalid(f"{where}'a filter may have at most {_MOST_WILDCARDS} wildcards'")
    return tuple(each["filter"] for each in given)


@SERVICE.operation("DescribeImages")
def describe_images(call: Call) -> dict[str, Any]:
    """List the images of a repository."""
    name = call.text("repositoryName")
    account = _own_registry(call, "ecr:DescribeImages", name)
    if strange := set(call.params) - {"repositoryName", "registryId", "maxResults", "nextToken"}:
        raise NotImplementedError(f"DescribeImages with {sorted(strange)}")
    repository = call.state.registries.find(account, call.region, name)
    if repository is None:
        raise _missing(call, name)
    images = repository.images
    found, more = call.page(
        lambda start, stop: list(images[start:stop]),
        len(images),
        call.number("maxResults", 100, 1000),
        token="nextToken",
        about=name,
    )
    return {"imageDetails": [_image(account, name, each) for each in found], **more}


def _image(account: str, name: str, each: Image) -> dict[str, Any]:
    return {
        "registryId": account,
        "repositoryName": name,
        "imageDigest": each.digest,
        **({"imageTags": list(each.tags)} if each.tags else {}),  # as ECR: not an empty list
        "imagePushedAt": each.pushed_at,
    }


@SERVICE.operation("PutImage")
def put_image(call: Call) -> dict[str, Any]:
    """Push an image; a tag that is there moves to it, unless the repository's setting forbids."""
    name, manifest = call.text("repositoryName"), call.text("imageManifest")
    account = _own_registry(call, "ecr:PutImage", name)
    repository = call.state.registries.find(account, call.region, name)
    if repository is None:
        raise _missing(call, name)
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    tag = call.params.get("imageTag")
    holder = next((each for each in repository.images if tag in each.tags), None)
    if holder and holder.digest == digest:
        raise ApiError(
            "ImageAlreadyExistsException",
            f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with "
            f"name '{name}' in registry with id '{account}'",
        )
    if holder and not _is_mutable(repository, str(tag)):
        raise ApiError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{name}' repository and cannot be "
            "overwritten because the tag is immutable.",
        )
    images = {
        each.digest: dataclasses.replace(each, tags=tuple(t for t in each.tags if t != tag))
        for each in repository.images
    }
    before = images.pop(digest, Image(digest))
    tags = (*before.tags, *([tag] if tag else []))
    images[digest] = Image(digest, tags, call.state.clock())
    changed = dataclasses.replace(repository, images=tuple(images.values()))
    call.state.registries.put(account, call.region, changed)
    identity = {"imageDigest": digest, **({"imageTag": tag} if tag else {})}
    image = {"registryId": account, "repositoryName": name, "imageId": identity}
    return {"image": {**image, "imageManifest": manifest}}


def _is_mutable(repository: Repository, tag: str) -> bool:
    """Whether the setting lets the tag be overwritten: what a filter matches is the exception."""
    excepted = any(glob(each, tag) for each in repository.exclusion_filters)
    return excepted != repository.mutability.startswith("MUTABLE")


@SERVICE.operation("DescribePullThroughCacheRules")
def describe_pull_through_cache_rules(call: Call) -> dict[str, Any]:
    """List the rules, or give those of the prefixes named: all of them or none."""
    account = call.principal.account
    if call.params.get("registryId", account) != account:
        _own_registry(call, "ecr:DescribePullThroughCacheRules", "*")
    call.allow("ecr:DescribePullThroughCacheRules", "*")
    rules = call.state.registries.rules(account, call.region)
    prefixes = call.params.get("ecrRepositoryPrefixes")
    if prefixes is not None:
        known = {rule.prefix: rule for rule in rules}
        absent = [prefix for prefix in prefixes if prefix not in known]
        if absent:
            raise ApiError(
                "PullThroughCacheRuleNotFoundException",
                f"The pull through cache rule with repository prefix '{absent[0]}' does not exist "
                "in the registry "
                f"with id '{account}'",
            )
        return {"pullThroughCacheRules": [_rule(account, known[prefix]) for prefix in prefixes]}
    found, more = call.page(
        lambda start, stop: list(rules[start:stop]),
        len(rules),
        call.number("maxResults", 100, 1000),
        token="nextToken",
    )
    return {"pullThroughCacheRules": [_rule(account, rule) for rule in found], **more}


def _rule(account: str, rule: PullThroughRule) -> dict[str, Any]:
    return {
        "ecrRepositoryPrefix": rule.prefix,
        "upstreamRegistryUrl": rule.upstream,
        "createdAt": _CREATED,
        "registryId": account,
    }


@SERVICE.operation("DescribeRepositoryCreationTemplates")
def describe_repository_creation_templates(call: Call) -> dict[str, Any]:
    """List the creation templates, or give those of the prefixes named: all of them or none."""
    account = call.principal.account
    call.allow("ecr:DescribeRepositoryCreationTemplates", "*")
    templates = call.state.registries.templates(account, call.region)
    prefixes = call.params.get("prefixes")
    more: dict[str, str] = {}
    if prefixes is None:
        found, more = call.page(
            lambda start, stop: list(templates.values())[start:stop],
            len(templates),
            call.number("maxResults", 100, 1000),
            token="nextToken",
        )
    else:
        found = [_template_of(call, prefix) for prefix in prefixes]
    return {
        "registryId": account,
        "repositoryCreationTemplates": [_described_template(each) for each in found],
        **more,
    }


@SERVICE.operation("UpdateRepositoryCreationTemplate")
def update_repository_creation_template(call: Call) -> dict[str, Any]:
    """Write a creation template anew; every attempt is recorded, with whether it was accepted.

    What is not given is reset: AWS says so of imageTagMutability and customRoleArn, and of the
    others nothing. The dependent actions are those of the service authorization reference.
    """
    record = _begin_write(call)
    _allow_template(call, "ecr:UpdateRepositoryCreationTemplate")
    _template_of(call, call.text("prefix"))
    return _write_template(call, record)


@SERVICE.operation("CreateRepositoryCreationTemplate")
def create_repository_creation_template(call: Call) -> dict[str, Any]:
    """Create a creation template; every attempt is recorded, with whether it was accepted."""
    account, prefix = call.principal.account, call.text("prefix")
    record = _begin_write(call)
    _allow_template(call, "ecr:CreateRepositoryCreationTemplate")
    if not call.params.get("appliedFor"):
        raise call.invalid("Invalid parameter at 'appliedFor' failed to satisfy constraint")
    if prefix in call.state.registries.templates(account, call.region):
        raise ApiError(
            "TemplateAlreadyExistsException",
            f"The repository creation template with prefix '{prefix}' already exists in the "
            f"registry with id '{account}'",
        )
    return _write_template(call, record)


@SERVICE.operation("DeleteRepositoryCreationTemplate")
def delete_repository_creation_template(call: Call) -> dict[str, Any]:
    """Delete a creation template; every attempt is recorded, with whether it was accepted."""
    account, prefix = call.principal.account, call.text("prefix")
    record = _begin_write(call)
    call.allow("ecr:DeleteRepositoryCreationTemplate", "*")
    found = _template_of(call, prefix)
    del call.state.registries.templates(account, call.region)[prefix]
    record["accepted"] = True
    return {"registryId": account, "repositoryCreationTemplate": _described_template(found)}


def _begin_write(call: Call) -> dict[str, Any]:
    place = {"account": call.principal.account, "region": call.region}
    record = {**place, **call.params, "operation": call.operation, "accepted": False}
    call.state.counters.template_writes.append(record)
    return record


def _allow_template(call: Call, action: str) -> None:
    """Allow the action, and what the template has ECR do."""
    prefix = call.text("prefix")
    call.allow(action, "*")
    below = _arn(call, "*" if prefix == "ROOT" else f"{prefix}/*")
    call.allow("ecr:CreateRepository", below)
    if call.params.get("lifecyclePolicy"):
        call.allow("ecr:PutLifecyclePolicy", below)
    if call.params.get("repositoryPolicy"):
        call.allow("ecr:SetRepositoryPolicy", below)
    if role := call.params.get("customRoleArn"):
        call.allow("iam:PassRole", role)


def _write_template(call: Call, record: dict[str, Any]) -> dict[str, Any]:
    account, prefix = call.principal.account, call.text("prefix")
    mutability = call.params.get("imageTagMutability", "MUTABLE")
    applied_for = call.params.get("appliedFor", [])
    for name, value, allowed in (
        ("imageTagMutability", [mutability], get_args(Mutability)),
        ("appliedFor", applied_for, get_args(AppliedFor)),
    ):
        if not set(value) <= set(allowed):
            raise call.invalid(
                f"Invalid parameter at '{name}' failed to satisfy constraint: 'Member must satisfy "
                f"enum value set: [{', '.join(allowed)}]'"
            )
    written = CreationTemplate(
        prefix=prefix,
        mutability=mutability,
        exclusion_filters=_checked_filters(call, mutability),
        applied_for=tuple(applied_for),
        description=call.params.get("description", ""),
        lifecycle_policy=call.params.get("lifecyclePolicy", ""),
        repository_policy=call.params.get("repositoryPolicy", ""),
        custom_role_arn=call.params.get("customRoleArn", ""),
        resource_tags={each["Key"]: each["Value"] for each in call.params.get("resourceTags", [])},
        kms_key=call.params.get("encryptionConfiguration", {}).get("kmsKey", ""),
    )
    call.state.registries.templates(account, call.region)[prefix] = written
    record["accepted"] = True
    return {"registryId": account, "repositoryCreationTemplate": _described_template(written)}


def _template_of(call: Call, prefix: str) -> CreationTemplate:
    account = call.principal.account
    found = call.state.registries.templates(account, call.region).get(prefix)
    if found is None:
        raise ApiError(
            "TemplateNotFoundException",
            f"The repository creation template with prefix '{prefix}' does not exist in the "
            f"registry with id '{account}'",
        )
    return found


def _described_template(each: CreationTemplate) -> dict[str, Any]:
    encryption = {"encryptionType": "KMS", "kmsKey": each.kms_key}
    optional = {
        "description": each.description,
        "lifecyclePolicy": each.lifecycle_policy,
        "repositoryPolicy": each.repository_policy,
        "customRoleArn": each.custom_role_arn,
    }
    return {
        "prefix": each.prefix,
        "encryptionConfiguration": encryption if each.kms_key else {"encryptionType": "AES256"},
        "resourceTags": [{"Key": key, "Value": text} for key, text in each.resource_tags.items()],
        "imageTagMutability": each.mutability,
        **_filters(each.exclusion_filters),
        "appliedFor": list(each.applied_for),
        **{name: text for name, text in optional.items() if text},
        "createdAt": _CREATED,
        "updatedAt": _CREATED,
    }
