"""What an object keeps alive, seen from outside: for what must keep little."""

from __future__ import annotations

import gc
import types
from typing import Any

_NOT_ENTERED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


def kept(root: object) -> list[Any]:
    """All objects that can be reached from this one; classes and functions are not entered."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, _NOT_ENTERED):
            continue
        seen[id(one)] = one
        left += gc.get_referents(one)
    return list(seen.values())
