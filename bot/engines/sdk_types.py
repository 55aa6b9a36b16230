"""Imports the SDK without its types: five hundred modules of models that we do not use.

Packages of types import all their modules, for names like `openai.types.FileObject`. Here each is
replaced by one that imports a module with the first use of a name in it. `install` must be called
before the SDK is imported.
"""

import ast
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PACKAGE = "openai.types"


def install() -> None:
    """Find packages of types in this way from now on."""
    sys.meta_path.insert(0, _Finder)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        """The spec of a package of types; None for any other module."""
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            return None
        spec: Any = PathFinder.find_spec(name, path)
        if spec is None or spec.submodule_search_locations is None:
            return None
        if source := spec.loader.get_source(name):
            spec.loader = _Loader(spec.loader, names_in(source))
        return spec


class _Loader:
    """Runs the code of a package only for a name that is not from one of its modules."""

    def __init__(self, loader: Any, places: Mapping[str, tuple[str, str]]) -> None:
        self._loader = loader
        self._places = places

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Prepare the module for the first use of each name."""
        module.__dict__["__getattr__"] = partial(self._find, module)

    def _find(self, module: ModuleType, name: str) -> Any:
        if name in self._places:
            place, original = self._places[name]
            found = getattr(import_module(place, module.__name__), original)
            setattr(module, name, found)
            return found
        if name.startswith("__") or PathFinder.find_spec(name, module.__path__):
            raise AttributeError(name)  # a module is imported then
        del module.__dict__["__getattr__"]
        self._loader.exec_module(module)
        return getattr(module, name)


def names_in(source: str) -> dict[str, tuple[str, str]]:
    """The origin of each name of a package: the relative module, and the name there."""
    return {
        alias.asname or alias.name: ("." * node.level + node.module, alias.name)
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and node.level and node.module
        for alias in node.names
    }
