"""The modal in which admins change the settings of a channel."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import FollowUps
from bot.slack.client import slack_errors
from bot.slack.events import installation
from bot.slack.people import People
from bot.slack.surfaces.blocks import section
from bot.slack.surfaces.home import CONFIGURE, EDIT, Home, render_version
from bot.store import Store
from bot.store.channel_settings import ChannelSettings, Users, Version
from bot.telemetry.log import log

CALLBACK = "channel_settings"
INSTRUCTIONS_LENGTH = 3000
HISTORY = 3
DEFAULT = "default"
"""Stands for None among the values of a select."""

FOLLOW_UPS: Mapping[FollowUps | None, str] = {
    None: "As in other channels",
    "always": "Answer every message in its threads",
    "one_person": "Answer without a mention while one person talks",
    "mentions": "Answer only when mentioned",
}
USERS: Mapping[Users, str] = {
    "members": "Everyone in the workspace",
    "guests": "Guests and other workspaces, too",
    "people": "Only the people named below",
}
INSTRUCTIONS_HINT = "What the assistant is told here, besides what it is told everywhere."
MODEL_HINT = "Without one: the model that answers everywhere."
PEOPLE_HINT = "Whoever is named may use the bot also as a guest or from another workspace."

Payload = Mapping[str, Any]


class ChannelModal:
    """Opens the modal and takes what is submitted; admins only, asked both times."""

    def __init__(self, store: Store, people: People, client: AsyncWebClient, home: Home) -> None:
        self._store = store
        self._people = people
        self._client = client
        self._home = home

    def register(self, app: AsyncApp) -> None:
        """Hang the listeners on the app."""
        app.action(CONFIGURE)(self.open)
        app.action(EDIT)(self.open)
        app.view(CALLBACK)(self.submit)

    async def open(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """A channel was chosen in App Home."""
        channel_id = action.get("selected_conversation") or action.get("value")
        if channel_id and await self._people.is_admin(body["user"]["id"]):
            versions = await self._store.channels.versions(
                installation(context), channel_id, HISTORY
            )
            try:
                with slack_errors():
                    await self._client.views_open(
                        trigger_id=body["trigger_id"], view=render_modal(channel_id, versions)
                    )
            except (BotError, SlackApiError) as error:
                log.warning("modal_not_opened", error=str(error)[:100])
        await ack()

    async def submit(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """A new version, unless something is wrong with it or another came first."""
        user_id, team_id = body["user"]["id"], installation(context)
        about = json.loads(view["private_metadata"])
        settings = parse_settings(view["state"]["values"])
        if not await self._people.is_admin(user_id):
            await _refuse(ack, "instructions", "Only admins may change this.")
            return
        if settings.users == "people" and not settings.people:
            await _refuse(ack, "people", "Name somebody here, or choose above who else may use it.")
            return
        saved = await self._store.channels.save(
            team_id, about["channel"], settings, user_id=user_id, after=about["version"]
        )
        if not saved:
            words = "Somebody has changed this meanwhile: close it and open it again."
            await _refuse(ack, "instructions", words)
            return
        log.info("channel_configured", channel=about["channel"], user=user_id)
        await ack()
        await self._home.publish(team_id, user_id)


async def _refuse(ack: AsyncAck, block_id: str, words: str) -> None:
    await ack(response_action="errors", errors={block_id: words})


def render_modal(channel_id: str, versions: list[Version]) -> dict[str, Any]:
    """The form, filled with the newest version, and below it who made the newest ones."""
    settings = versions[0].settings if versions else ChannelSettings()
    number = versions[0].number if versions else 0
    instructions = _text("instructions", settings.instructions) | {
        "multiline": True,
        "max_length": INSTRUCTIONS_LENGTH,
    }
    people: dict[str, Any] = {"type": "multi_users_select", "action_id": "people"}
    if settings.people:
        people["initial_users"] = list(settings.people)
    blocks: list[dict[str, Any]] = [
        section(f"*<#{channel_id}>*: what you save holds from the next message on."),
        _input("instructions", "Instructions", instructions, hint=INSTRUCTIONS_HINT),
        _input("model", "Model", _text("model", settings.model), hint=MODEL_HINT),
        _input(
            "follow_ups",
            "Messages without a mention",
            _select("follow_ups", FOLLOW_UPS, settings.follow_ups),
            optional=False,
        ),
        _input(
            "users",
            "Who may use the bot",
            _select("users", USERS, settings.users),
            optional=False,
        ),
        _input("people", "Named people", people, hint=PEOPLE_HINT),
    ]
    if versions:
        words = [{"type": "mrkdwn", "text": "\n".join(map(render_version, versions))}]
        blocks.append({"type": "context", "elements": words})
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps({"channel": channel_id, "version": number}),
        "title": {"type": "plain_text", "text": "Channel settings"},
        "submit": {"type": "plain_text", "text": "Save"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": blocks,
    }


def _input(
    block_id: str, label: str, element: dict[str, Any], *, hint: str = "", optional: bool = True
) -> dict[str, Any]:
    block = {
        "type": "input",
        "block_id": block_id,
        "optional": optional,
        "label": {"type": "plain_text", "text": label},
        "element": element,
    }
    return block | ({"hint": {"type": "plain_text", "text": hint}} if hint else {})


def _text(action_id: str, value: str) -> dict[str, Any]:
    element: dict[str, Any] = {"type": "plain_text_input", "action_id": action_id}
    return element | ({"initial_value": value} if value else {})


def _select(action_id: str, labels: Mapping[Any, str], chosen: str | None) -> dict[str, Any]:
    options = [
        {"text": {"type": "plain_text", "text": label}, "value": value or DEFAULT}
        for value, label in labels.items()
    ]
    return {
        "type": "static_select",
        "action_id": action_id,
        "options": options,
        "initial_option": next(
            option for option in options if option["value"] == (chosen or DEFAULT)
        ),
    }


def parse_settings(values: Mapping[str, Mapping[str, Payload]]) -> ChannelSettings:
    """Read `view.state.values`; what is not filled in is as by default."""
    given = {name: next(iter(block.values()), {}) for name, block in values.items()}

    def chosen(name: str, allowed: tuple[str, ...], default: str | None) -> Any:
        option = given.get(name, {}).get("selected_option") or {}
        return option["value"] if option.get("value") in allowed else default

    default = ChannelSettings()
    return ChannelSettings(
        instructions=(given.get("instructions", {}).get("value") or "").strip(),
        model=(given.get("model", {}).get("value") or "").strip(),
        follow_ups=chosen("follow_ups", get_args(FollowUps), default.follow_ups),
        users=chosen("users", get_args(Users), default.users),
        people=tuple(given.get("people", {}).get("selected_users") or ()),
    )
