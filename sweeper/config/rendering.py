"""Show the configuration in effect, and where each value came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from sweeper.config.loader import Loaded
from sweeper.config.provenance import KeyPath
from sweeper.config.schema import SECRET_KEYS
from sweeper.domain.escaping import is_hidden, plain
from sweeper.domain.masking import MASK

_COLUMN = 46  # of the comments
_DEFAULT = "default"


def as_yaml(loaded: Loaded) -> str:
    """Return an equivalent config.yaml without secrets; comments say where each value came from."""
    return "".join(_section(loaded, loaded.config, ()))


def as_json(loaded: Loaded) -> str:
    """Return each key, dotted, with its value and its source."""
    content = {
        ".".join(key): {"value": _shown(key, value), "source": _source(loaded, key)}
        for key, value in _values(loaded.config, ())
    }
    return json.dumps(content, indent=2) + "\n"


def _values(model: BaseModel, prefix: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every key of a value, not of a section, and the value as JSON has it."""
    for name, value in model.model_dump(mode="json").items():
        inner, key = getattr(model, name), (*prefix, name)
        if isinstance(inner, BaseModel):
            yield from _values(inner, key)
        else:
            yield key, value


def _shown(key: KeyPath, value: Any) -> Any:
    """Return the value; of a secret only a mask, which is no valid value."""
    return MASK if key in SECRET_KEYS and value is not None else value


def _source(loaded: Loaded, key: KeyPath) -> str:
    origin = loaded.layers.origin(key)
    return str(origin) if origin else _DEFAULT


def _section(loaded: Loaded, model: BaseModel, prefix: KeyPath) -> Iterator[str]:
    indent = "  " * len(prefix)
    values = model.model_dump(mode="json")
    for name in type(model).model_fields:
        inner, key = getattr(model, name), (*prefix, name)
        if isinstance(inner, BaseModel):
            yield f"{indent}{name}:\n"
            yield from _section(loaded, inner, key)
            continue
        value, comment = _shown(key, values[name]), f"# {plain(_source(loaded, key))}\n"
        if value and isinstance(value, list) and isinstance(value[0], dict):
            yield f"{f'{indent}{name}:':<{_COLUMN}} {comment}"
            yield from (f"{indent}  - {_flow(item)}\n" for item in value)
        else:
            yield f"{f'{indent}{name}: {_flow(value)}':<{_COLUMN}} {comment}"


class _Dumper(yaml.SafeDumper):
    """Quotes all text but words: some YAML readers take 012345678901 for a number."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text[:1].isalpha() and text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def _flow(value: Any) -> str:
    """Return the value on one line, hidden and control characters escaped."""
    everything = json.dumps(value, ensure_ascii=False)
    text: str = yaml.dump(
        [value],
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
        allow_unicode=not any(map(is_hidden, everything)),
    )
    return text.strip()[1:-1]
