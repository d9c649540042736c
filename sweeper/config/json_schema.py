"""Build the JSON Schema of config.yaml from its model: `sweeper config schema` prints it.

For editors and generators. It has no rules between keys: `sweeper config check` checks these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from sweeper.config.schema import Config

# The purpose of each key; sections have their model's docstring. Here, where no sweep imports it.
_DESCRIPTIONS = {
    "checks": "Which checks run, by the name in their findings.",
    "organization.role_name": "The role that is assumed in every account, the caller's own "
    "included. null: only the caller's own account, with its own credentials.",
    "organization.enumerate": "false: exactly include_accounts; Organizations is not called.",
    "organization.external_id": "The external id that the role's trust policy asks for.",
    "organization.sts_region": "The region whose STS endpoint is called. null: the caller's region "
    "where every account has it, else the partition's first.",
    "organization.include_ous": "OUs or roots, with everything below. Empty: the whole "
    "organization.",
    "organization.within_ous": "OUs or roots; an account must be below one of them, too. --ou and "
    "an event's ous narrow it.",
    "organization.exclude_ous": "OUs whose accounts, with everything below, are left out.",
    "organization.include_accounts": "Account ids, in quotes. Empty: all.",
    "organization.exclude_accounts": "Account ids, in quotes, that are left out.",
    "organization.include_tags": "Account tags, key: [values]; an account must have one of the "
    "values of each key.",
    "organization.exclude_tags": "Account tags, key: [values]; an account that has one of them is "
    "left out.",
    "regions.include": "Of the regions that are enabled in the account, only these; the others are "
    "skipped. Empty: all.",
    "regions.exclude": "Regions that are left out.",
    "coverage.accept.reason": "The reason that the report gives for the gap.",
    "coverage.accept.account": "In which accounts, with * and ? as wildcards: one, or a list.",
    "coverage.accept.region": "In which regions, with * and ? as wildcards: one, or a list.",
    "policy.allowed_exclusions": "Exclusion filters that are compliant, as exact text.",
    "policy.exempt_pull_through_cache": "Whether repositories that a pull-through cache rule fills "
    "are exempt.",
    "exemptions.account": "In which accounts, with * and ? as wildcards.",
    "exemptions.ous": "Only in accounts below one of these OUs or roots. Empty: in every account.",
    "exemptions.account_tags": "Account tags, key: [values]; only in accounts that have one of the "
    "values of each key.",
    "exemptions.region": "In which regions, with * and ? as wildcards.",
    "exemptions.repository": "The repositories' name, with * and ? as wildcards.",
    "exemptions.reason": "Why, for those who read the report.",
    "exemptions.expires": "The last day on which it holds (UTC), or never.",
    "remediation.auto_remediate": "ENABLED: make mutable repositories immutable. DISABLED: report "
    "them.",
    "remediation.checks": "The checks whose findings are fixed. Default: "
    "ecr-tag-immutability, if it runs.",
    "remediation.include_ous": "OUs or roots below which repositories may be changed. Empty: in "
    "every account of the sweep.",
    "remediation.include_accounts": "Accounts in which repositories may be changed, ids in "
    "quotes. Empty: all.",
    "remediation.exclude_accounts": "Accounts in which nothing is changed, ids in quotes.",
    "remediation.rollout.include_ous": "OUs or roots, with everything below. Empty: every account "
    "in which repositories may be changed.",
    "remediation.rollout.include_accounts": "Account ids, in quotes. Empty: all.",
    "remediation.rollout.from": "The first day (UTC) on which something is changed in these "
    "accounts.",
    "remediation.grace_days": "How many days before a change a report announces it. 0: off. Needs "
    "earlier reports: report.s3, or report.directory with the format json.",
    "remediation.exclusions": "Exclusion filters that a repository gets when it is made immutable.",
    "remediation.exclusions_by_repository": "More exclusion filters for repositories whose name "
    "matches a glob. The filters of all matching globs are added.",
    "remediation.ignore_root_cache_rule": "Whether to change repositories in a registry whose "
    "ROOT pull-through cache rule may fill any of them. false: they need manual review.",
    "remediation.assess_impact": "Read the tags of repositories that are about to change, and "
    "report those that seem to be re-pushed on purpose.",
    "remediation.max_changes": "A plan with more changes changes nothing. An undo has no limit.",
    "remediation.max_changes_per_account": "An account with more changes is left as it is; the "
    "others are not. null: no limit.",
    "remediation.root_template_applied_for": "Create a creation template for ROOT with immutable "
    "tags, applied for these features, in each registry without one. Empty: create none. "
    "CREATE_ON_PUSH also turns creation on push on. Needs the check "
    "ecr-creation-template-immutability.",
    "remediation.min_coverage": "Below this share of accounts or account-regions checked, nothing "
    "is changed. 0: off.",
    "remediation.max_reopened": "A repository that somebody makes mutable again more often in 7 "
    "days, after events, is left alone and reported as contested.",
    "inventory.config_aggregator.name": "The aggregator's name.",
    "inventory.config_aggregator.region": "The aggregator's region.",
    "report.directory": "Where to write the reports.",
    "report.s3.bucket": "The bucket's name.",
    "report.s3.prefix": "What the names of the objects begin with.",
    "report.s3.kms_key_id": "The KMS key that encrypts the objects. null: the bucket's default.",
    "report.s3.lease": "Whether only one run at a time may use the prefix.",
    "report.sns_topic_arn": "The topic to notify.",
    "report.chat_topic_arn": "The topic of a chat channel (Amazon Q Developer in chat "
    "applications).",
    "report.event_bus": "The event bus that gets an event for the run, and one for each finding "
    "that changed.",
    "report.owner_tag": "One of account_tags: each of its values gets a message to sns_topic_arn, "
    "with the attribute owner.",
    "report.security_hub.region": "The region to import findings in.",
    "report.formats": "The formats to write.",
    "report.notify": "when_needed: findings that remain, changes made or failed, or incomplete "
    "coverage. on_change: something is new, announced, reopened, resolved, fixed or failed, or "
    "other accounts and regions could not be checked. always: after each sweep.",
    "report.account_tags": "The keys of the account tags to show beside findings.",
    "report.evidence": "Store every repository that was examined, with its verdict, beside the "
    "report: evidence.jsonl.gz.",
    "report.plugins": "Sinks that are installed as plugins, by name, each with its own settings.",
    "state.directory": "A run's journal, and a report that could not be delivered. null: "
    "$XDG_STATE_HOME/sweeper or ~/.local/state/sweeper, if it can be written.",
    "limits.max_workers": "Threads of a process.",
    "limits.processes": "How many processes of this machine check the accounts. auto: one for each "
    "core.",
    "limits.deadline_seconds": "No new work starts after it. null: no deadline.",
    "limits.delivery_seconds": "How long a failed delivery is tried again, within the deadline; "
    "seconds.",
    "limits.http_sender": "own: one HTTP session for all clients. botocore: the SDK's, one per "
    "client.",
    "distributed.accounts_per_shard": "How many accounts a worker of a distributed sweep scans.",
}
# The names that pydantic gives limits behind a validator of our own, by type.
_LIMITS = {
    "array": {"minLength": "minItems", "maxLength": "maxItems"},
    "integer": (_OF_NUMBER := {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}),
    "number": _OF_NUMBER,
}


class Untitled(GenerateJsonSchema):
    """Omits the titles of properties, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic names it)
        """See the class."""
        return False


def schema(checks: Iterable[str], formats: Iterable[str]) -> dict[str, Any]:
    """Return the schema of config.yaml, with the names of the built-in checks and formats."""
    result = Config.model_json_schema(schema_generator=Untitled)
    definitions = result.pop("$defs")
    for definition in (result, *definitions.values()):
        definition.pop("title", None)
        for name, value in definition.get("properties", {}).items():
            definition["properties"][name] = _correct_limits(value)
    # A plugin has another name, which depends on the installation.
    for lists, key, names in (
        (definitions["ReportConfig"]["properties"], "formats", formats),
        (definitions["RemediationConfig"]["properties"], "checks", checks),
        (result["properties"], "checks", checks),
    ):
        lists[key]["items"] = {"anyOf": [{"enum": sorted(names)}, lists[key]["items"]]}
    _describe(result, definitions, "")
    sections = result.pop("properties")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweeper config.yaml",
        "description": "All keys are optional. What one key says about another is checked by "
        "`sweeper config check`.",
        "type": "object",
        # An empty section means its defaults.
        "properties": {name: _or_null(section) for name, section in sections.items()},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _correct_limits(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value, or mapping of values, with JSON Schema's names of limits."""
    names = _LIMITS.get(value.get("type", ""), {})
    corrected = {names.get(key, key): value[key] for key in value}
    if patterns := value.get("patternProperties"):
        inner = {pattern: _correct_limits(each) for pattern, each in patterns.items()}
        corrected |= {"patternProperties": inner, "additionalProperties": False}
    return corrected


def _describe(model: Any, definitions: Any, prefix: str) -> None:
    """Give each key of the model, and of those that it holds, its description."""
    for name, value in model["properties"].items():
        key = f"{prefix}{name}"
        for inner in _definitions(value):
            _describe(definitions[inner], definitions, f"{key}.")
            value["description"] = definitions[inner]["description"]
        if "description" not in value:
            value["description"] = _DESCRIPTIONS[key]


def _definitions(value: Any) -> list[str]:
    """Return the names of the definitions that a property refers to."""
    if isinstance(value, list):
        return [name for item in value for name in _definitions(item)]
    if not isinstance(value, dict):
        return []
    here = [value["$ref"].rpartition("/")[2]] if "$ref" in value else []
    return here + [name for item in value.values() for name in _definitions(item)]


def _or_null(section: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in section.items() if key not in ("description", "default")}
    return {"description": section["description"], "anyOf": [own, {"type": "null"}]}
