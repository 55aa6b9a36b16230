"""Checks a request body against the SDK's own parameter types, as OpenAI's server would.

Pydantic could read these TypedDicts too, but it accepts unknown keys and checks an `Iterable` only
when it is iterated; and OpenAI's error codes depend on the kind of error.
"""

import types
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Required, Union, get_args, get_origin

import typing_extensions

from .errors import ApiError, invalid

_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a decimal",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    type(None): "null",
}


@dataclass(frozen=True)
class Problem:
    """The first error of a body; `depth` shows which branch of a union was meant."""

    code: str
    path: str
    message: str
    depth: int

    def as_error(self) -> ApiError:
        return invalid(self.message, code=self.code, param=self.path)


def find_problem(value: object, annotation: Any, path: str = "", depth: int = 0) -> Problem | None:
    """The first problem of a JSON value under a type annotation of the SDK, or None."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, object):
        return None
    if origin in (Union, types.UnionType):
        return _in_union(value, arguments, path, depth)
    if origin is Literal:
        return None if value in arguments else _wrong_value(value, arguments, path, depth)
    if typing_extensions.is_typeddict(annotation):
        return _in_object(value, annotation, path, depth)
    if origin in (dict, Mapping):
        return _in_mapping(value, arguments[1], path, depth)
    if arguments:  # every other generic of the SDK's types is a kind of sequence
        return _in_array(value, arguments[0], path, depth)
    if annotation is None:
        annotation = type(None)
    return None if _is_a(value, annotation) else _wrong_type(value, annotation, path, depth)


def _is_a(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _in_object(value: object, kind: Any, path: str, depth: int) -> Problem | None:
    if not isinstance(value, dict):
        return _wrong_type(value, dict, path, depth)
    fields, required = _fields(kind)
    unknown = next((_join(path, key) for key in value if key not in fields), None)
    if unknown:
        message = f"Unknown parameter: '{unknown}'."
        return Problem("unknown_parameter", unknown, message, depth + 1)
    missing = next((_join(path, key) for key in required if key not in value), None)
    if missing:
        message = f"Missing required parameter: '{missing}'."
        return Problem("missing_required_parameter", missing, message, depth + 1)
    problems = (
        find_problem(item, fields[key], _join(path, key), depth + 1) for key, item in value.items()
    )
    return _first(problems)


def _in_mapping(value: object, of: Any, path: str, depth: int) -> Problem | None:
    if not isinstance(value, dict):
        return _wrong_type(value, dict, path, depth)
    return _first(
        find_problem(item, of, _join(path, key), depth + 1) for key, item in value.items()
    )


def _in_array(value: object, of: Any, path: str, depth: int) -> Problem | None:
    if not isinstance(value, list):
        return _wrong_type(value, list, path, depth)
    return _first(
        find_problem(item, of, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
    )


def _in_union(value: object, branches: Iterable[Any], path: str, depth: int) -> Problem | None:
    problems = []
    for branch in sorted(branches, key=lambda branch: _discriminates(value, branch), reverse=True):
        problem = find_problem(value, branch, path, depth)
        if problem is None:
            return None
        likely = max(_discriminates(value, branch), 0)
        problems.append((likely, problem.depth, problem.code == "invalid_value", problem))
    return max(problems, key=lambda entry: entry[:3])[3]


def _discriminates(value: object, branch: Any) -> int:
    """How well the literal fields (`type`, `role`, ...) of an object match a branch."""
    if not isinstance(value, dict) or not typing_extensions.is_typeddict(branch):
        return 0
    fields, _ = _fields(branch)
    literals = {key: get_args(kind) for key, kind in fields.items() if get_origin(kind) is Literal}
    if any(key in value and value[key] not in allowed for key, allowed in literals.items()):
        return -1
    return sum(key in value for key in literals)


@cache
def _fields(kind: Hashable) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of a TypedDict and those that must be there."""
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    fields, required = {}, []
    for key, hint in hints.items():
        if _origin(hint) is Required:
            required.append(key)
        fields[key] = _bare(hint)
    return fields, tuple(required)


def _origin(hint: Any) -> Any:  # typed as Any: mypy knows no `Required` among the origins
    return get_origin(hint)


def _bare(hint: Any) -> Any:
    while _origin(hint) in (Required, Annotated):
        hint = get_args(hint)[0]
    return hint


def _wrong_type(value: object, wanted: type, path: str, depth: int) -> Problem:
    expected, got = _NAMES.get(wanted, wanted.__name__), _NAMES.get(type(value), "another type")
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return Problem("invalid_type", path, message, depth)


def _wrong_value(value: object, allowed: tuple[Any, ...], path: str, depth: int) -> Problem:
    values = ", ".join(repr(choice) for choice in allowed)
    message = f"Invalid value: {value!r}. Supported values are: {values}."
    return Problem("invalid_value", path, message, depth)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _first(problems: Iterator[Problem | None]) -> Problem | None:
    return next((problem for problem in problems if problem is not None), None)
