"""The templates as data, and as stacks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "stacksets"
CENTRAL = ("central-fargate", "central-lambda", "central-stepfunctions")  # what sweeps
EVENTS = ("member-events", "central-events")
NAMES = ("member-role", *CENTRAL, *EVENTS)
ONE_PROCESS = ("central-fargate", "central-lambda")  # the whole sweep in one role


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms, as the long ones."""

    def short_form(self, name: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            value: Any = self.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = self.construct_sequence(node, deep=True)
        else:
            assert isinstance(node, yaml.MappingNode)
            value = self.construct_mapping(node, deep=True)
        if name in ("Ref", "Condition"):
            return {name: value}
        if name == "GetAtt":
            value = value.split(".", 1)
        return {f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _Loader.short_form)


def text(name: str) -> str:
    """The template as it is written."""
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def load(name: str) -> Any:
    """The template, with long forms; not to be changed."""
    return yaml.load(text(name), _Loader)


class _NoManagedPolicies:
    """SAM asks for AWS's managed policies; the template names none."""

    def load(self) -> dict[str, str]:
        return {}


def transformed(name: str, code_uri: str) -> Any:
    """What CloudFormation makes of a SAM template whose code lies at `code_uri`."""
    from samtranslator.translator.transform import transform  # a second to import

    template = json.loads(json.dumps(load(name)))
    for each in template["Resources"].values():
        if each["Type"] == "AWS::Serverless::Function":
            each["Properties"]["CodeUri"] = code_uri
    return transform(template, {}, _NoManagedPolicies())


def resource(name: str, logical_id: str) -> Any:
    """The properties of one resource."""
    return load(name)["Resources"][logical_id]["Properties"]
