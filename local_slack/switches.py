"""Buttons that the app adds to the page's panel of faults."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local_slack.workspace.model import Json


@dataclass
class Switch:
    """A button that calls `press`. `state` is a status text shown beside it.

    `dare`, if given, is what the page suggests while an answer is written: "kill the worker now".
    """

    name: str
    title: str
    description: str
    button: str
    press: Callable[[], Awaitable[None]]
    state: str = ""
    dare: str = ""

    def as_json(self) -> Json:
        names = ("name", "title", "description", "button", "state", "dare")
        return {name: getattr(self, name) for name in names}
