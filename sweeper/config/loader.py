"""config.yaml, the environment and the command line's options -> Config.

The only reader of the file and of the environment. Options override the environment, which
overrides the file; but options that choose accounts or regions only narrow what those two say.
Nothing has been swept when an error is raised here, and every error names where the value came
from, its key and what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_origin

from pydantic import BaseModel, ValidationError

from sweeper.config.field_types import IN_QUOTES
from sweeper.config.provenance import (
    EXCLUDE_ACCOUNTS,
    INCLUDE_REGIONS,
    KeyPath,
    Layers,
    Origin,
    Provenance,
    Values,
    format_key,
    provenance_of,
)
from sweeper.config.schema import ENVIRONMENT_PREFIX, SECRET_KEYS, Config
from sweeper.config.yaml_file import parse_file, read_file
from sweeper.domain import masking
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.report_model import ConfigurationSource

_CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
_DEPLOYMENT_VARIABLE = ENVIRONMENT_PREFIX + "DEPLOYMENT"
_NOT_KEYS = (_CONFIG_VARIABLE, _DEPLOYMENT_VARIABLE)  # variables that stand for no key
_DEFAULT_FILE = "config.yaml"
_DEPLOYMENT = re.compile(r"[A-Za-z0-9._-]{1,128}")  # a stack's name is one
_REMOTE_PREFIXES = ("ssm:", "s3://")  # how a location begins that is not a file
# The parent tool's variables, still honoured.
LEGACY_VARIABLES = {
    "SNS_TOPIC_ARN": ("report", "sns_topic_arn"),
    "AUTO_REMEDIATE": ("remediation", "auto_remediate"),
}

# The options of the command line that stand for a key.
OPTION_NAMES: Mapping[KeyPath, str] = {
    ("organization", "include_accounts"): "--account",
    EXCLUDE_ACCOUNTS: "--exclude-account",
    ("organization", "role_name"): "--role-name",
    ("organization", "within_ous"): "--ou",
    INCLUDE_REGIONS: "--region",
    ("remediation", "assess_impact"): "--impact",
    ("remediation", "max_changes"): "--max-changes",
    ("report", "directory"): "--output",
    ("report", "formats"): "--formats",
}
# The keys whose options only narrow: what both they and the configuration name is left, or of those
# that exclude, what neither does.
_NARROWING_KEYS: tuple[tuple[str, str], ...] = (
    ("organization", "include_accounts"),
    EXCLUDE_ACCOUNTS,
    ("organization", "within_ous"),
    INCLUDE_REGIONS,
)

_MAX_NAMED = 5  # allowed values in an error

_Setting = tuple[str, KeyPath, object]  # a variable, the key that it is for, and its value


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, the file that was read, and where every value came from."""

    config: Config
    file: str | None
    layers: Layers
    provenance: Provenance


def load(
    path: str | None = None,
    options: Values | None = None,
    *,
    options_from: str = "command line",
    option_names: Mapping[KeyPath, str] = OPTION_NAMES,
    read_remote: Callable[[str], str] | None = None,
) -> Loaded:
    """Return the configuration from `path`, the environment and `options` (nested like the file).

    Without `path`: the file that SWEEPER_CONFIG names, else ./config.yaml where it exists, else
    the defaults. A location in SSM or S3 is read with `read_remote`, where it is given. Errors call
    the options `options_from`, and each that stands for a key as `option_names` has it. Raises
    ConfigurationError.
    """
    for source, name in (
        ("command line: --config", path),
        (f"environment: {_CONFIG_VARIABLE}", os.environ.get(_CONFIG_VARIABLE)),
    ):
        if name == "":
            raise ConfigurationError(f"{source} is empty; name a file, or leave it out")
    deployment()  # an error of the configuration, if it has one
    chosen = path or os.environ.get(_CONFIG_VARIABLE)
    if not chosen and os.path.lexists(_DEFAULT_FILE):  # a link that leads nowhere is an error
        chosen = _DEFAULT_FILE
    layers = Layers()
    sources: list[ConfigurationSource] = []
    if chosen:
        remote = read_remote if chosen.startswith(_REMOTE_PREFIXES) else None
        content = (remote or read_file)(chosen)
        layers.lay(parse_file(chosen, content), Origin("file", chosen))
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        sources.append(ConfigurationSource("file", chosen, sha256))
    for variable, key, value in (*_legacy(os.environ), *_from_environment(os.environ)):
        nested: Any = value
        for part in reversed(key):
            nested = {part: nested}
        layers.lay(nested, Origin("environment", variable))
        sources.append(ConfigurationSource("environment", variable))
    options = options or {}
    given = {key: option_names.get(key, format_key(key)) for key in _keys(options)}
    kind: Literal["event", "option"] = "event" if options_from == "event" else "option"
    sources += (ConfigurationSource(kind, name) for name in given.values())
    once: dict[KeyPath, str] = {key: name for key, name in given.items() if key in _NARROWING_KEYS}
    for key in SECRET_KEYS:
        _register(layers.values, key[-1])
    try:
        # Values that options narrow must be valid by themselves; the options hide them below.
        before = Config.model_validate(_select(layers.values, once))
        layers.lay(options, Origin("option", options_from))
        config = Config.model_validate(layers.values)
    except ValidationError as error:
        problems = [
            _describe_option_problem(problem, layers, option_names)
            or f"{_source(problem['loc'], layers, chosen)}: {_describe(problem)}"
            for problem in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(problems)) from None
    narrowed = [key for key in once if getattr(getattr(before, key[0]), key[1])]
    for key in narrowed:
        config = _narrow(config, before, key, once[key])
    return Loaded(config, chosen, layers, provenance_of(config, sources, once, narrowed))


def _keys(options: Values) -> Iterator[KeyPath]:
    """Return the keys that options set: they are in sections, as in the file."""
    for section, values in options.items():
        if isinstance(values, dict):
            yield from ((section, name) for name in values)


def _select(values: Values, keys: Iterable[KeyPath]) -> Values:
    """Return those of the nested values that are at the keys."""
    found: Values = {}
    for section, name in keys:
        within = values.get(section)
        if isinstance(within, dict) and name in within:
            found.setdefault(section, {})[name] = within[name]
    return found


def _narrow(config: Config, before: Config, key: KeyPath, name: str) -> Config:
    """Return the configuration narrowed at `key` to what both it and the one `before` name.

    Of excluded accounts it has those of both. Raises ConfigurationError where nothing is left: an
    empty list would mean everything.
    """
    section, field = key
    chosen = getattr(getattr(config, section), field)
    allowed = getattr(getattr(before, section), field)
    if key == EXCLUDE_ACCOUNTS:
        left = tuple(dict.fromkeys((*allowed, *chosen)))
    else:
        left = tuple(value for value in chosen if value in allowed)
    if not left:
        some = ", ".join(allowed[:_MAX_NAMED])
        more = f" and {len(allowed) - _MAX_NAMED:,} more" if len(allowed) > _MAX_NAMED else ""
        raise ConfigurationError(
            f"{name}: {', '.join(chosen)} is not in {format_key(key)}, which it can only narrow; "
            f"allowed: {some}{more}"
        )
    inner = getattr(config, section).model_copy(update={field: left})
    return config.model_copy(update={section: inner})


# --- the environment -----------------------------------------------------------------------------


def _variables(
    model: type[BaseModel] = Config, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every variable that sets a value, and its key."""
    for name, field in model.model_fields.items():
        key = (*path, name)
        inner = [] if get_origin(field.annotation) is tuple else _models(field.annotation)
        if not inner:
            yield ENVIRONMENT_PREFIX + "__".join(key).upper(), key
        for section in inner:
            yield from _variables(section, key)


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Setting]:
    """Yield the values of the known variables: text, or None for null."""
    known = dict(_variables())
    for variable in sorted(environment):
        # In capitals only: of two spellings of one variable, one would win silently.
        if not variable.upper().startswith(ENVIRONMENT_PREFIX) or variable in _NOT_KEYS:
            continue
        if variable not in known:
            raise ConfigurationError(
                f"environment: {variable} is not a variable of sweeper; {_hint(variable, known)}"
            )
        text = environment[variable]
        yield variable, known[variable], None if text == "null" else text


def deployment() -> str | None:
    """Return the name of this deployment, the dimension of its metrics; None where it has none.

    Raises ConfigurationError where CloudWatch would not take the name.
    """
    name = os.environ.get(_DEPLOYMENT_VARIABLE)
    if name is not None and not _DEPLOYMENT.fullmatch(name):
        raise ConfigurationError(
            f"environment: {_DEPLOYMENT_VARIABLE}: {name!r} is not allowed; allowed: 1 to 128 "
            "letters, digits, '.', '_' and '-', or leave it out"
        )
    return name


def _hint(variable: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(variable.upper(), [*known, *_NOT_KEYS], n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return "names are like SWEEPER_REPORT__NOTIFY"


def _legacy(environment: Mapping[str, str]) -> Iterator[_Setting]:
    for variable, key in LEGACY_VARIABLES.items():
        value = environment.get(variable)
        if value is None:
            continue
        if not value:  # a template's empty parameter must not turn remediation on
            raise ConfigurationError(
                f"environment: {variable} is empty; give it a value, or leave it out"
            )
        prefixed = ENVIRONMENT_PREFIX + "__".join(key).upper()
        if environment.get(prefixed, value) != value:
            raise ConfigurationError(
                f"environment: {variable} and {prefixed} contradict each other; set one of them"
            )
        yield variable, key, value


# --- error messages ------------------------------------------------------------------------------


def _source(location: tuple[int | str, ...], layers: Layers, path: str | None) -> str:
    """Return where the value at `location` came from, and its key as it is written there."""
    if location[-1:] == ("[key]",):  # pydantic's mark for the key of a mapping
        location = location[:-1]
    origin = layers.origin_of_error(tuple(part for part in location if isinstance(part, str)))
    return (origin or Origin("file", path or "configuration")).of(_format_location(location))


def _describe_option_problem(
    problem: Any, layers: Layers, names: Mapping[KeyPath, str]
) -> str | None:
    """Describe the problem of an option's value in the option's words, not in those of YAML."""
    key = tuple(part for part in problem["loc"] if isinstance(part, str))
    origin = layers.origin_of_error(key)
    if key not in names or origin is None or origin.kind != "option":
        return None
    return f"{names[key]}: {_describe(problem).replace(IN_QUOTES, '')}"


def _format_location(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# pydantic's types of error that speak of Python rather than of YAML.
_EXPECTED = {
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
}


def _register(values: object, name: str) -> None:
    """Mask each value of the key `name`, also where it does not belong."""
    match values:
        case dict():
            for key, value in values.items():
                if key == name and isinstance(value, str | int):
                    masking.register_external_id(str(value))
                else:
                    _register(value, name)
        case list() | tuple():
            for value in values:
                _register(value, name)


def _describe(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if problem["loc"] in SECRET_KEYS:
        return f"the value, which is secret, is not allowed: {problem['msg']}"
    if kind == "extra_forbidden":
        return _unknown_key(problem["loc"])
    if kind == "missing":
        fields = _section(problem["loc"]).model_fields
        required = [each.alias or name for name, each in fields.items() if each.is_required()]
        return f"missing; required here: {', '.join(required)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _EXPECTED:
        return f"{problem['input']!r} is not allowed; allowed: {_EXPECTED[kind]}"
    text = str(problem["msg"])
    text = text[0].lower() + text[1:]
    return f"{problem['input']!r} is not allowed: {text}"


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model that the last key of `location` belongs to."""
    model: type[BaseModel] = Config
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        inner = _models(field.annotation) if field else []
        model = inner[0] if inner else model
    return model


def _unknown_key(location: tuple[int | str, ...]) -> str:
    fields = _section(location).model_fields
    allowed = [field.alias or name for name, field in fields.items()]
    near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key; {hint}allowed here: {', '.join(allowed)}"


def _models(annotation: object) -> list[type[BaseModel]]:
    """Return the models in a field's annotation: itself, or in a union or tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]
