"""Control characters in what is sent to Slack; names of files and tools are not ours."""

import re
from collections.abc import Mapping
from typing import Any

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def without_controls(value: Any) -> Any:
    """The arguments of a call without control characters, except tabs and line ends."""
    return _cleaned(value) if _has_controls(value) else value


def _has_controls(value: Any) -> bool:
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, str):
            if not each.isprintable() and _CONTROLS.search(each):
                return True
        elif isinstance(each, Mapping):
            rest += each.values()
        elif isinstance(each, list | tuple):
            rest += each
    return False


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTROLS.sub("", value)
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value
