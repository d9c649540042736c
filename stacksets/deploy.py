"""Create or update a StackSet of the members, and wait for the result (`make stackset-deploy`).

A change for every account is staged: a quarter of the accounts at a time, and no further once a
tenth of them failed. Exit status: 0 every account has the stack, 1 not every account, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

FOLDER = Path(__file__).parent
ROLE = "member-role"  # of which an account has one: IAM is global
TEMPLATES = (ROLE, "member-events")
STAGED = {
    "MaxConcurrentPercentage": 25,
    "FailureTolerancePercentage": 10,
    # Without it CloudFormation lowers the concurrency to the tolerance, a tenth.
    "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
}
POLL_SECONDS = 5.0
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeploymentTargets.html
UNIT = re.compile(r"ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32}")


class UsageError(Exception):
    """The arguments cannot be used; nothing was created or changed."""


class RolloutFailed(Exception):
    """Not every account has the stack as it is now."""


def main(arguments: Sequence[str] | None = None, wait: Callable[[float], None] = time.sleep) -> int:
    """Deploy as the command line says; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stacksets.deploy", description=__doc__)
    parser.add_argument("--template", choices=TEMPLATES, default=ROLE)
    parser.add_argument("--regions", default="", help="of member-events, separated by spaces")
    parser.add_argument("--stack-set", required=True, help="the StackSet's name")
    parser.add_argument("--call-as", choices=["SELF", "DELEGATED_ADMIN"], default="SELF")
    parser.add_argument("--ous", default="", help="roots and OUs, separated by spaces")
    parser.add_argument("--parameters", default="", help="Key=Value, separated by spaces")
    given = parser.parse_args(arguments)
    try:
        units = read_units(given.ous)
        regions = read_regions(given.template, given.regions)
        template = (FOLDER / f"{given.template}.yaml").read_text(encoding="utf-8")
        declared: dict[str, Any] = yaml.load(template, _Loader)["Parameters"]  # noqa: S506 (a SafeLoader)
        values = read_parameters(given.parameters, declared)
        rollout = Rollout(given.stack_set, given.call_as, wait, regions)
        rollout.deploy(template, declared, values, units)
    except UsageError as error:
        print(f"stackset-deploy: {error}", file=sys.stderr)
        return 2
    except (RolloutFailed, ClientError, BotoCoreError) as error:
        print(f"stackset-deploy: {error}", file=sys.stderr)
        return 1
    return 0


def read_units(text: str) -> list[str]:
    """Return the ids of roots and OUs. Raises UsageError."""
    units = text.split()
    if not units:
        raise UsageError("OUS is missing; allowed: ids of roots or OUs, OUS='r-ab12 ou-ab12-…'")
    for unit in units:
        if not UNIT.fullmatch(unit):
            raise UsageError(f"OUS: {unit!r} is not allowed; allowed: r-ab12 or ou-ab12-11111111")
    return units


def read_regions(template: str, text: str) -> list[str]:
    """Return the regions to deploy to; none where it is that of the central stack.

    Raises UsageError.
    """
    regions = list(dict.fromkeys(text.split()))
    if template == ROLE and regions:
        raise UsageError("REGIONS is not allowed for member-role: IAM is global")
    if template != ROLE and not regions:
        raise UsageError("REGIONS is missing; allowed: regions, REGIONS='eu-central-1 us-east-1'")
    for region in regions:
        if not REGION.fullmatch(region):
            raise UsageError(f"REGIONS: {region!r} is not allowed; allowed: eu-central-1")
    return regions


def read_parameters(text: str, declared: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of ``Key=Value``, whatever else is in a value. Raises UsageError."""
    values: dict[str, str] = {}
    for pair in text.split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"PARAMETERS: {pair!r} is not Key=Value")
        if name not in declared:
            raise UsageError(f"PARAMETERS: {name} is unknown; allowed: {', '.join(declared)}")
        if name in values:
            raise UsageError(f"PARAMETERS: {name} is given twice")
        rule = declared[name]
        choices = rule.get("AllowedValues")
        if choices and value not in choices:
            allowed = " or ".join(choices)
        elif not choices and not re.fullmatch(rule["AllowedPattern"], value):
            allowed = f"it {rule['ConstraintDescription']}"
        else:
            values[name] = value
            continue
        raise UsageError(f"PARAMETERS: {name}={value} is not allowed; allowed: {allowed}")
    return values


def _resources(template: str) -> set[str]:
    return set(yaml.load(template, _Loader)["Resources"])  # noqa: S506 (a SafeLoader)


class Rollout:
    """A StackSet in the region and with the credentials of the environment."""

    def __init__(
        self,
        name: str,
        call_as: str,
        wait: Callable[[float], None],
        regions: Sequence[str] = (),
    ) -> None:
        region = os.environ.get("AWS_REGION") or boto3.Session().region_name
        if not region:
            raise UsageError("no region is set; set AWS_REGION to the central stack's region")
        self._region = region
        self._regions = list(regions)  # none: one stack an account
        self._client: Any = boto3.client("cloudformation", region_name=region)
        self._wait = wait
        self._stack_set = {"StackSetName": name, "CallAs": call_as}

    def deploy(
        self,
        template: str,
        declared: Mapping[str, Any],
        values: Mapping[str, str],
        units: Sequence[str],
    ) -> None:
        """Create or update the StackSet, and deploy it to the units that it is not in yet.

        `declared` are the template's parameters, `values` those that were given. Raises UsageError
        before anything is changed, RolloutFailed, ClientError.
        """
        existing = self._describe()
        if existing and _resources(existing["TemplateBody"]).isdisjoint(_resources(template)):
            raise UsageError(
                f"STACK_SET: {self._stack_set['StackSetName']} has another template, whose "
                "resources would be deleted in every account; name the StackSet of this template"
            )
        parameters = _parameters(declared, values, existing)
        held = set((existing or {}).get("OrganizationalUnitIds", ()))
        if held - set(units) and (changed := _changed(values, existing)):
            raise UsageError(
                f"PARAMETERS: {', '.join(changed)} would change in all accounts of the StackSet, "
                f"and OUS names only some; allowed: OUS='{' '.join(sorted(held | set(units)))}'"
            )
        definition = {
            **self._stack_set,
            "TemplateBody": template,
            "Parameters": parameters,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "PermissionModel": "SERVICE_MANAGED",
            "AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": False},
        }
        new_regions: dict[str, list[str]] = {}
        if existing is None:
            self._client.create_stack_set(**definition)
        else:
            new_regions = self._new_regions(held)
            update = self._client.update_stack_set(**definition, OperationPreferences=STAGED)
            self._finish("update", update["OperationId"])
        # Not where they are already: the accounts there may have parameters of their own.
        missing: dict[tuple[str, ...], list[str]] = {}
        for unit in units:
            regions = new_regions.get(unit, []) if unit in held else self._regions or [self._region]
            missing.setdefault(tuple(regions), []).append(unit)
        for regions_of_units, targets in missing.items():
            if regions_of_units:
                create = self._client.create_stack_instances(
                    **self._stack_set,
                    Regions=list(regions_of_units),
                    DeploymentTargets={"OrganizationalUnitIds": targets},
                    OperationPreferences=STAGED,
                )
                self._finish("create", create["OperationId"])

    def _describe(self) -> dict[str, Any] | None:
        """Return the StackSet; None where there is none, and no other failure is taken for that."""
        try:
            found: dict[str, Any] = self._client.describe_stack_set(**self._stack_set)["StackSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "StackSetNotFoundException":
                raise
            return None
        return found

    def _new_regions(self, units: Collection[str]) -> dict[str, list[str]]:
        """Return, for each of the units, the regions in which it has no stack yet.

        A unit without any stack lacks the regions that all others lack. Raises UsageError where the
        role's stacks are in another region: IAM is global.
        """
        pages = self._client.get_paginator("list_stack_instances").paginate(**self._stack_set)
        stacks = [item for page in pages for item in page["Summaries"]]
        found = {item["Region"] for item in stacks}
        if self._regions:
            of_unit: dict[str, set[str]] = {}
            for item in stacks:
                of_unit.setdefault(item.get("OrganizationalUnitId", ""), set()).add(item["Region"])
            return {
                unit: [each for each in self._regions if each not in of_unit.get(unit, found)]
                for unit in units
            }
        if others := found - {self._region}:
            raise UsageError(
                f"the StackSet is deployed to {', '.join(sorted(others))}, and AWS_REGION is "
                f"{self._region}; a second region would create the same role again: set AWS_REGION "
                "to that region"
            )
        return {}

    def _finish(self, what: str, operation: str) -> None:
        """Wait until the operation ends. Raises RolloutFailed unless every account succeeded."""
        named = {**self._stack_set, "OperationId": operation}
        print(f"{what}: operation {operation}", flush=True)
        while True:
            found = self._client.describe_stack_set_operation(**named)["StackSetOperation"]
            if found["Status"] in ENDED:
                break
            self._wait(POLL_SECONDS)
        pages = self._client.get_paginator("list_stack_set_operation_results").paginate(**named)
        results = [item for page in pages for item in page["Summaries"]]
        bad = [item for item in results if item["Status"] != "SUCCEEDED"]
        for item in bad:
            reason = item.get("StatusReason", "no reason is given")
            print(f"  {item['Account']}: {item['Status']}: {reason}", file=sys.stderr)
        print(f"{what}: {found['Status']}, {len(results) - len(bad)} of {len(results)} accounts")
        # An operation within its tolerance has SUCCEEDED although accounts failed.
        if found["Status"] != "SUCCEEDED" or any(item["Status"] == "FAILED" for item in bad):
            reason = found.get("StatusReason", "see the accounts above")
            raise RolloutFailed(
                f"{what} {found['Status']}, {len(bad)} of {len(results)} accounts without success: "
                f"{reason}. Correct the cause and run it again; `make stackset-status` lists all"
            )


def _parameters(
    declared: Mapping[str, Any], values: Mapping[str, str], existing: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the parameters of the StackSet: those given, else as they were, else the defaults.

    Raises UsageError where one has no value.
    """
    known = {item["ParameterKey"] for item in (existing or {}).get("Parameters", ())}
    parameters: list[dict[str, Any]] = []
    missing = []
    for name, rule in declared.items():
        if name in values:
            parameters.append({"ParameterKey": name, "ParameterValue": values[name]})
        elif name in known:
            parameters.append({"ParameterKey": name, "UsePreviousValue": True})
        elif "Default" not in rule:
            missing.append(name)
    if missing:
        raise UsageError(f"PARAMETERS: {' and '.join(missing)} must be given: Key=Value")
    return parameters


def _changed(values: Mapping[str, str], existing: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the parameters that have another value than before."""
    before = {
        item["ParameterKey"]: item.get("ParameterValue")
        for item in (existing or {}).get("Parameters", ())
    }
    return [name for name, value in values.items() if before.get(name) != value]


class _Loader(yaml.SafeLoader):
    """YAML in which CloudFormation's short forms have no value: parameters use none."""


_Loader.add_multi_constructor("!", lambda *_: None)

if __name__ == "__main__":
    sys.exit(main())
