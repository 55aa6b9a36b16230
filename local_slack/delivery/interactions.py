"""Trigger ids and response URLs: the permissions of an interaction, and their lifetimes."""

import secrets
from dataclasses import dataclass

from local_slack.workspace.errors import SlackError
from local_slack.workspace.workspace import Workspace

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    """Permission to open one view for this person within three seconds."""

    user_id: str
    expires: float
    view_id: str | None = None
    exchanged: bool = False


@dataclass
class ResponseUrl:
    """Permission to answer an interaction; `source_ts` is the message it came from."""

    user_id: str
    channel_id: str
    expires: float
    source_ts: str | None = None
    uses_left: int = RESPONSE_URL_USES


class Interactions:
    """Issues and checks both kinds of permission."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._triggers: dict[str, Trigger] = {}
        self._urls: dict[str, ResponseUrl] = {}
        self.base_url = ""

    def issue_trigger(self, user_id: str, view_id: str | None = None) -> str:
        now = self._workspace.clock.now()
        trigger_id = f"{int(now)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = Trigger(user_id, now + TRIGGER_SECONDS, view_id)
        return trigger_id

    def exchange_trigger(self, trigger_id: str | None) -> Trigger:
        trigger = self._triggers.get(trigger_id or "")
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._workspace.clock.now() > trigger.expires:
            raise SlackError("expired_trigger_id")
        trigger.exchanged = True
        return trigger

    def issue_url(self, user_id: str, channel_id: str, source_ts: str | None = None) -> str:
        key = secrets.token_urlsafe(18)
        expires = self._workspace.clock.now() + RESPONSE_URL_SECONDS
        self._urls[key] = ResponseUrl(user_id, channel_id, expires, source_ts)
        return f"{self.base_url}/response/{key}"

    def look_up(self, key: str) -> ResponseUrl:
        """The response URL, without counting a use."""
        return self._urls[key]

    def use_url(self, key: str) -> ResponseUrl:
        """One use of a response URL; raises `expired_url` or `used_url`."""
        url = self._urls.get(key)
        if url is None or self._workspace.clock.now() > url.expires:
            raise SlackError("expired_url")
        if url.uses_left <= 0:
            raise SlackError("used_url")
        url.uses_left -= 1
        return url
