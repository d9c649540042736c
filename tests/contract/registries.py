"""ECR: repositories, tag mutability, images, and what hangs on a registry."""

from __future__ import annotations

from tests.contract.calls import (
    APP,
    Scenario,
    Step,
    ecr,
    mutability,
    push,
    wildcards,
)
from tests.fake_aws.world import Mutability, Repository

_ARN = "arn:aws:ecr:us-east-1:{member}:repository/"
_MANY = tuple(Repository(f"team/app-{number}") for number in range(3))
_SETTINGS: tuple[tuple[Mutability, tuple[str, ...]], ...] = (
    ("MUTABLE", ()),
    ("IMMUTABLE", ()),
    ("IMMUTABLE_WITH_EXCLUSION", ("lat*",)),
    ("MUTABLE_WITH_EXCLUSION", ("lat*",)),
)

REPOSITORIES = (
    Scenario("an empty registry", (ecr("no repositories", "describe_repositories"),)),
    Scenario(
        "repositories are listed",
        (
            ecr("all", "describe_repositories"),
            ecr("two by name", "describe_repositories", repositoryNames=["app", "fixed"]),
            ecr("one that is not there", "describe_repositories", repositoryNames=["app", "none"]),
            ecr("of the own registry", "describe_repositories", registryId="{member}"),
            ecr("of another registry", "describe_repositories", registryId="999999999999"),
            ecr("too large a page", "describe_repositories", maxResults=1001),
            ecr("an empty page", "describe_repositories", maxResults=0),
            ecr("an invented token", "describe_repositories", nextToken="invented"),
            ecr(
                *("a name and a page", "describe_repositories"),
                repositoryNames=["app"],
                maxResults=10,
            ),
            Step(
                "repositories of another region",
                "ecr",
                "describe_repositories",
                {},
                "auditor",
                "us-west-2",
            ),
        ),
        (Repository("app"), Repository("fixed", "IMMUTABLE")),
    ),
    Scenario(
        "repositories come in pages",
        (
            ecr("page 1 of repositories", "describe_repositories", keep="nextToken", maxResults=2),
            ecr("page 2 of repositories", "describe_repositories", nextToken="{nextToken}"),
        ),
        _MANY,
    ),
    Scenario(
        "tags of a repository",
        (
            ecr("tags", "list_tags_for_resource", resourceArn=f"{_ARN}app"),
            ecr("tags of no repository", "list_tags_for_resource", resourceArn=f"{_ARN}none"),
            ecr(
                *("tags of another region", "list_tags_for_resource"),
                resourceArn=f"{_ARN}app".replace("us-east-1", "us-west-2"),
            ),
        ),
        APP,
    ),
    Scenario(
        "tags become immutable, and mutable again",
        (
            mutability("immutable", "IMMUTABLE"),
            ecr("it is immutable", "describe_repositories"),
            mutability("mutable", "MUTABLE"),
            ecr("it is mutable", "describe_repositories"),
        ),
        APP,
    ),
    Scenario(
        "exclusion filters",
        (
            mutability("immutable with exclusion", "IMMUTABLE_WITH_EXCLUSION", "latest", "pr-*"),
            ecr("it has filters", "describe_repositories"),
            mutability("mutable with exclusion", "MUTABLE_WITH_EXCLUSION", "*.0"),
            ecr("it has one filter", "describe_repositories"),
            mutability("filters with immutable", "IMMUTABLE", "latest"),
            mutability("immutable, filters gone", "IMMUTABLE"),
            ecr("it has no filters", "describe_repositories"),
        ),
        APP,
    ),
    Scenario(
        "mutability that is refused",
        (
            mutability("of no repository", "IMMUTABLE", on="none"),
            mutability("no such mutability", "FROZEN"),
            mutability("without filters", "IMMUTABLE_WITH_EXCLUSION"),
            ecr(
                *("with an empty list of filters", "put_image_tag_mutability"),
                repositoryName="app",
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[],
            ),
            ecr(
                *("immutable with an empty list of filters", "put_image_tag_mutability"),
                repositoryName="app",
                imageTagMutability="IMMUTABLE",
                imageTagMutabilityExclusionFilters=[],
            ),
            mutability("with six filters", "IMMUTABLE_WITH_EXCLUSION", *"abcdef"),
            mutability("with three wildcards", "IMMUTABLE_WITH_EXCLUSION", "*a*b*"),
            mutability("with a slash", "IMMUTABLE_WITH_EXCLUSION", "a/b"),
            mutability("with 129 characters", "IMMUTABLE_WITH_EXCLUSION", "a" * 129),
            mutability("with a line break", "IMMUTABLE_WITH_EXCLUSION", "latest\n"),
            ecr(
                *("with a filter of another type", "put_image_tag_mutability"),
                repositoryName="app",
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[{"filterType": "REGEX", "filter": "a"}],
            ),
            mutability("the most that is allowed", "IMMUTABLE_WITH_EXCLUSION", "*a*", *"bcde"),
            ecr(
                *("in another registry", "put_image_tag_mutability"),
                repositoryName="app",
                imageTagMutability="IMMUTABLE",
                registryId="999999999999",
            ),
        ),
        APP,
    ),
)

IMAGES = (
    Scenario(
        "images are listed",
        (
            ecr("no images", "describe_images", repositoryName="app"),
            push("an image", "1.0", "one"),
            push("another image", "2.0", "two"),
            ecr("images", "describe_images", repositoryName="app"),
            ecr("images of no repository", "describe_images", repositoryName="none"),
            ecr("images of a nameless repository", "describe_images"),
            ecr(
                *("page 1 of images", "describe_images"),
                keep="nextToken",
                repositoryName="app",
                maxResults=1,
            ),
            ecr(
                *("page 2 of images", "describe_images"),
                repositoryName="app",
                nextToken="{nextToken}",
            ),
            ecr(
                "too large a page of images",
                "describe_images",
                repositoryName="app",
                maxResults=1001,
            ),
            ecr(
                *("an invented token of images", "describe_images"),
                repositoryName="app",
                nextToken="invented",
            ),
            ecr(
                *("images of another registry", "describe_images"),
                repositoryName="app",
                registryId="999999999999",
            ),
        ),
        APP,
    ),
    *(
        Scenario(
            f"tags move: {setting}",
            (
                push(f"{setting}: latest", "latest", "one"),
                push(f"{setting}: 1.0", "1.0", "one"),
                push(f"{setting}: latest again, another image", "latest", "two"),
                push(f"{setting}: 1.0 again, another image", "1.0", "two"),
                push(f"{setting}: 1.0 again, the same image", "1.0", "one"),
            ),
            (Repository("app", setting, filters),),
        )
        for setting, filters in _SETTINGS
    ),
)

REGISTRIES = (
    Scenario(
        "rules and templates of a registry without any",
        (
            ecr("no rules", "describe_pull_through_cache_rules"),
            ecr(
                *("a rule that is not there", "describe_pull_through_cache_rules"),
                ecrRepositoryPrefixes=["quay"],
            ),
            ecr("no templates", "describe_repository_creation_templates"),
            ecr(
                *("a template that is not there", "describe_repository_creation_templates"),
                prefixes=["apps"],
            ),
            ecr(
                *(
                    "an update of a template that is not there",
                    "update_repository_creation_template",
                ),
                prefix="apps",
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=wildcards("latest"),
            ),
            ecr("an operation that the fake does not offer", "describe_registry"),
        ),
    ),
)
