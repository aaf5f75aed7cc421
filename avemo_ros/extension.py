"""Classes and objects of your own that a setting names as `module:Name`; docs/extending.md."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any


def is_named(text: str) -> bool:
    """Whether a setting names something of your own: 'module:Name' or 'package.module:Name'."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and _is_module(module)


def load_named(text: str) -> Any:
    """What a setting names.

    Args:
        text: 'module:Name'; the module is imported, which runs its code.

    Raises:
        ValueError: it is not so written, or there is no such module or name; the message says
            why, without naming the setting.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not name.isidentifier() or not _is_module(module_name):
        raise ValueError("it is not written as module:Name")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name is not None and f"{module_name}.".startswith(f"{error.name}.")
        hint = "; is its folder in PYTHONPATH?" if own else ""
        raise ValueError(f"no module named '{error.name}'{hint}") from error
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"importing {module_name} failed: {why}") from error
    try:
        return getattr(module, name)
    except AttributeError:
        near = difflib.get_close_matches(name, vars(module), n=1)
        hint = f", did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"{module_name} has no '{name}'{hint}") from None


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
