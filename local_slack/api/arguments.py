"""Arguments of a Web API call, from query string, form and JSON alike."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local_slack.workspace.errors import SlackError, invalid_arguments

TRUE = ("1", "true", True, 1)


class Arguments:
    """Typed access to the arguments; a wrong or missing one raises Slack's `invalid_arguments`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def get(self, name: str) -> str | None:
        """The text, or None if it is absent. (An empty text is a value.)"""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return str(value)
        raise invalid_arguments(f"`{name}` must be a string")

    def require(self, name: str) -> str:
        value = self.get(name)
        if not value:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name, default)
        return value.lower() in TRUE if isinstance(value, str) else value in TRUE

    def integer(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise invalid_arguments(f"`{name}` must be an integer") from None

    def json(self, name: str, error: str = "invalid_arguments") -> Any:
        """A structured value: JSON text in a form, plain JSON in a JSON body."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise SlackError(error) from None

    def objects(self, name: str, error: str) -> list[dict[str, Any]] | None:
        """A list of JSON objects; None if it is absent."""
        value = self.json(name, error)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise SlackError(error)
        return value


async def read_arguments(request: web.Request) -> Arguments:
    """Merge query string and body. A body that cannot be read raises Slack's error for it:
    `invalid_json`, `json_not_object`, `invalid_form_data` or `invalid_charset`."""
    values: dict[str, Any] = dict(request.query)
    if request.method == "POST" and request.can_read_body:
        if request.content_type == "application/json":
            try:
                body = await request.json()
            except LookupError:
                raise SlackError("invalid_charset") from None
            except (ValueError, RecursionError):
                raise SlackError("invalid_json") from None
            if not isinstance(body, dict):
                raise SlackError("json_not_object")
            values |= body
        else:
            values |= {name: value async for name, value in _form(request)}
    return Arguments(values)


async def _form(request: web.Request) -> Any:
    try:
        form = await request.post()
    except LookupError:
        raise SlackError("invalid_charset") from None
    except ValueError:
        raise SlackError("invalid_form_data") from None
    for name, value in form.items():
        if isinstance(value, str):
            yield name, value
