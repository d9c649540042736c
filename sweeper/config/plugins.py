"""Checks, formats and sinks of other distributions, which offer them as entry points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sweeper.domain.errors import ConfigurationError, allowed_words


def load_plugin(group: str, kind: type, name: str, *, key: str, own: Iterable[str]) -> Any:
    """Import and return the plugin `name` of the entry point group: a `kind`, or a subclass of it.

    Imports no other plugin. `own` are the built-in names that `key` of the configuration allows.
    Raises ConfigurationError.
    """
    from importlib.metadata import entry_points

    installed = entry_points(group=group)
    found = [each for each in installed if each.name == name]
    if not found:
        allowed = allowed_words(name, {*own, *installed.names})
        raise ConfigurationError(f"{key}: {name!r} is unknown; {allowed}")
    if len(found) > 1:
        offers = ", ".join(sorted(each.value for each in found))
        raise ConfigurationError(f"{key}: several plugins are called {name!r}: {offers}")
    try:
        plugin = found[0].load()
    except (ImportError, AttributeError, SyntaxError) as error:
        message = f"{key}: the plugin {name!r} cannot be imported: {error}"
        raise ConfigurationError(message) from None
    is_one = issubclass(plugin, kind) if isinstance(plugin, type) else isinstance(plugin, kind)
    if not is_one or getattr(plugin, "name", None) != name:
        raise ConfigurationError(
            f"{key}: the plugin {name!r} is not a {kind.__name__} of this name: {found[0].value}"
        )
    return plugin
