"""Functions that the model may call, its calls, and what it is told about them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the model sees it. `parameters` is a JSON Schema (type object)."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model asks for; `id` and `arguments` are as the server sent them."""

    id: str
    name: str
    arguments: str

    @property
    def plain_name(self) -> str:
        """The name as servers take it back: a model may make up any other."""
        return _FOREIGN.sub("_", self.name)[:LONGEST_NAME] or "unknown"

    @property
    def plain_arguments(self) -> str:
        """The arguments as servers take them back: always a JSON object."""
        try:
            is_object = isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            is_object = False
        return self.arguments if is_object else "{}"


@dataclass(frozen=True, slots=True)
class FunctionOutput:
    """What the model is told about one of its calls."""

    call: FunctionCall
    text: str
