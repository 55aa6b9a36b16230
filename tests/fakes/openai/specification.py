"""Checks JSON against OpenAI's published OpenAPI file, where it is at hand beside the checkout."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from .errors import ApiError, invalid

SPECIFICATION = (
    Path(__file__).resolve().parents[4] / "shared/data/openai-openapi-2026-08-21.json.gz"
)

_CODES = {
    "additionalProperties": "unknown_parameter",
    "required": "missing_required_parameter",
    "type": "invalid_type",
    "maxItems": "array_above_max_length",
    "maxLength": "string_above_max_length",
    "maximum": "integer_above_max_value",
    "minimum": "integer_below_min_value",
}


def is_at_hand() -> bool:
    return SPECIFICATION.exists()


def find_error(value: Any, schema: str) -> ApiError | None:
    """The best error of a JSON value under a schema, or None.

    `schema` names a component (`CreateResponse`) or, where the file has no name for it, is the
    URL whose POST body is meant (`/conversations/{conversation_id}/items`).
    """
    error = best_match(_validator(schema).iter_errors(value))
    return None if error is None else _as_error(error)


def _as_error(error: ValidationError) -> ApiError:
    path = error.json_path.removeprefix("$").removeprefix(".")
    message = f"{error.message[:500]} (OpenAPI, at '{path}')"
    return invalid(message, code=_CODES.get(str(error.validator), "invalid_value"), param=path)


@cache
def _validator(schema: str) -> Draft202012Validator:
    pointer = f"/components/schemas/{schema}"
    if schema.startswith("/"):
        url = schema.replace("/", "~1")
        pointer = f"/paths/{url}/post/requestBody/content/application~1json/schema"
    return Draft202012Validator({"$ref": f"urn:openai#{pointer}"}, registry=_registry())


@cache
def _registry() -> Any:
    with gzip.open(SPECIFICATION) as file:
        contents = _loosen(json.load(file))
    resource = DRAFT202012.create_resource(contents)
    return Registry().with_resource("urn:openai", resource)


def _loosen(node: Any) -> Any:
    """The same schema, read as its authors mean it: every `oneOf` as `anyOf` (the file's unions
    overlap and would refuse what the real server takes), and the `nullable` of OpenAPI 3.0, which
    is left in some places, as a type."""
    if isinstance(node, list):
        return [_loosen(item) for item in node]
    if not isinstance(node, dict):
        return node
    loose = {
        "anyOf" if key == "oneOf" and isinstance(item, list) else key: _loosen(item)
        for key, item in node.items()
    }
    if loose.get("nullable") is True and isinstance(loose.get("type"), str):
        loose["type"] = [loose["type"], "null"]
    return loose
