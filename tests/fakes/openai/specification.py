"""Checks JSON against the parameters and types that OpenAI's API reference documents.

`tests/data/openai_types.json` records them for the requests that the bot makes and for the objects
that the fake shows: the fields of each, their types and limits, one level deep. Deeper levels are
checked against the SDK's types, see `parameters.py`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from .errors import ApiError, invalid

TYPES = Path(__file__).resolve().parents[2] / "data/openai_types.json"

_CODES = {
    "additionalProperties": "unknown_parameter",
    "required": "missing_required_parameter",
    "type": "invalid_type",
    "maxItems": "array_above_max_length",
    "maxLength": "string_above_max_length",
    "maximum": "integer_above_max_value",
    "minimum": "integer_below_min_value",
}


def find_error(value: Any, schema: str) -> ApiError | None:
    """The best error of a JSON value under a schema, or None.

    `schema` is the reference's name of it (`CreateResponse`) or, if it has none, the URL whose
    POST body is meant (`/conversations/{conversation_id}/items`).
    """
    error = best_match(_validator(schema).iter_errors(value))
    return None if error is None else _as_error(error)


def _as_error(error: ValidationError) -> ApiError:
    path = error.json_path.removeprefix("$").removeprefix(".")
    message = f"{error.message[:500]} (OpenAPI, at '{path}')"
    return invalid(message, code=_CODES.get(str(error.validator), "invalid_value"), param=path)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(_types()[schema])


@cache
def _types() -> dict[str, Any]:
    types: dict[str, Any] = json.loads(TYPES.read_text())
    return types
