"""PyTorch without what only its compilers and exporters need.

`import torch` ends with `torch._meta_registrations`: shapes of results for tensors without
content, with the decompositions and references that these rest on.  That is 40 % of the time of
the import, and nothing that computes needs it.  Here it waits until something is imported that
rests on it, as `torch.compile`, `torch.export` and fake tensors do.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

TRIED: Final = ("2.13",)
"""Releases of PyTorch with which this was tried; any other is imported as it is."""
_LATE: Final = "torch._meta_registrations"
_RESTS_ON_IT: Final = (
    "torch._decomp",
    "torch._dynamo",
    "torch._inductor",
    "torch._prims",
    "torch._refs",
    "torch.utils._content_store",
)
"""Beginnings of the names of modules that expect it to be there."""
_UNUSED: Final = "pydot"
"""Draws graphs of programs; takes 0.1 s where it happens to be installed."""


def install() -> None:
    """Let the next `import torch` in this process be a lean one; harmless if torch is there."""
    if "torch" not in sys.modules and _was_tried():
        sys.meta_path.insert(0, _Finder())


def _was_tried() -> bool:
    try:
        release = metadata.version("torch").split(".")[:2]
    except metadata.PackageNotFoundError:
        return False
    return ".".join(release) in TRIED


class _Finder(MetaPathFinder):
    """Has its own way with `torch`, once."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Lean(spec.loader)
        return spec


class _Lean(Loader):
    """Loads the package by its own loader, while what is not needed seems to be there."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._own
        stand_ins: dict[str, ModuleType | None] = {_LATE: ModuleType(_LATE), _UNUSED: None}
        for name in [name for name in stand_ins if name in sys.modules]:
            del stand_ins[name]
        sys.modules.update(stand_ins)  # type: ignore[arg-type]  # None: cannot be imported
        collects = gc.isenabled()
        # What is made now stays; to look for garbage in it takes a quarter of the time.
        gc.disable()
        try:
            self._own.exec_module(module)
        finally:
            if collects:
                gc.enable()
            for name, stand_in in stand_ins.items():
                if sys.modules.get(name) is stand_in:
                    del sys.modules[name]
            vars(module).pop(_LATE.rpartition(".")[2], None)
        if _LATE in stand_ins:
            sys.meta_path.insert(0, _Rest())


class _Rest(MetaPathFinder):
    """Loads what was left out before anything that rests on it, in PyTorch's own order."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LATE and not name.startswith(_RESTS_ON_IT):
            return None
        sys.meta_path.remove(self)
        if name == _LATE:
            return None
        importlib.import_module(_LATE)
        there = sys.modules.get(name)
        if there is not None:
            # Loaded by the way.  The import under way would load it again, by its own loader.
            there.__spec__ = ModuleSpec(name, _There(there, there.__spec__))
            return there.__spec__
        return None


class _There(Loader):
    """Gives a module that has been loaded, unchanged."""

    def __init__(self, module: ModuleType, spec: ModuleSpec | None) -> None:
        self._module = module
        self._spec = spec

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
