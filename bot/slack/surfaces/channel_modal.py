"""The modal in which admins change the settings of a channel."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import ToolSummary
from bot.errors import BotError
from bot.models import FollowUps
from bot.slack.blocks import (
    context,
    input_block,
    modal,
    section,
    select,
    text_input,
    users_select,
)
from bot.slack.client import slack_errors
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.slack.people import People
from bot.slack.surfaces.home import CONFIGURE, EDIT, Home, render_version
from bot.slack.surfaces.model_input import ListModels, model_input, read_model
from bot.slack.surfaces.servers_input import read_servers_off, servers_input, servers_of
from bot.store import Store
from bot.store.channel_settings import ChannelSettings, Users, Version
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.texts import channel_settings as texts

CALLBACK = "channel_settings"
INSTRUCTIONS_LENGTH = 3000
HISTORY = 3
DEFAULT = "default"
"""The value of the select option that means None."""
FOLLOW_UPS = {value or DEFAULT: label for value, label in texts.FOLLOW_UPS_CHOICES.items()}


class ChannelModal:
    """Opens the modal and saves the submission; checks both times that the person is an admin."""

    def __init__(
        self,
        store: Store,
        people: People,
        client: AsyncWebClient,
        home: Home,
        tools: ToolSummary,
        models: ListModels,
    ) -> None:
        self._models = models
        self._store = store
        self._servers = servers_of(tools)
        self._people = people
        self._client = client
        self._home = home

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(CONFIGURE)(self.open)
        app.action(EDIT)(self.open)
        app.view(CALLBACK)(self.submit)

    async def open(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the choice of a channel in App Home."""
        channel_id = action.get("selected_conversation") or action.get("value")
        if channel_id and await self._people.is_admin(body["user"]["id"]):
            versions = await self._store.channels.versions(
                installation(context), channel_id, HISTORY
            )
            models = await self._models()
            try:
                with slack_errors():
                    await self._client.views_open(
                        trigger_id=body["trigger_id"],
                        view=render_modal(channel_id, versions, self._servers, models),
                    )
            except (BotError, SlackApiError) as error:
                log.warning("modal_not_opened", error=str(error)[:100])
        await ack()

    async def submit(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Save a new version, unless it has an error or another one was saved first."""
        user_id, team_id = body["user"]["id"], installation(context)
        about = json.loads(view["private_metadata"])
        settings = parse_settings(view["state"]["values"], self._servers)
        if not await self._people.is_admin(user_id):
            audit_log.record(
                "refusal",
                team=team_id,
                channel=about["channel"],
                user=user_id,
                what="settings",
                reason="not_admin",
            )
            await _refuse(ack, "instructions", texts.ADMINS_ONLY)
            return
        if settings.users == "people" and not settings.people:
            await _refuse(ack, "people", texts.NOBODY_NAMED)
            return
        saved = await self._store.channels.save(
            team_id, about["channel"], settings, user_id=user_id, after=about["version"]
        )
        if not saved:
            await _refuse(ack, "instructions", texts.CHANGED_MEANWHILE)
            return
        audit_log.record(
            "settings_changed",
            team=team_id,
            channel=about["channel"],
            user=user_id,
            changed=await self._changed(team_id, about["channel"]),
        )
        log.info("channel_configured", channel=about["channel"], user=user_id)
        await ack()
        await self._home.publish(team_id, user_id)

    async def _changed(self, team_id: str, channel_id: str) -> list[str]:
        """The names of the settings in which the two newest versions differ."""
        versions = await self._store.channels.versions(team_id, channel_id, 2)
        new, *older = (asdict(version.settings) for version in versions)
        old = older[0] if older else asdict(ChannelSettings())
        return [name for name, value in new.items() if old[name] != value]


async def _refuse(ack: AsyncAck, block_id: str, words: str) -> None:
    await ack(response_action="errors", errors={block_id: words})


def render_modal(
    channel_id: str,
    versions: list[Version],
    servers: Sequence[str] = (),
    models: Sequence[str] = (),
) -> dict[str, Any]:
    """The form, filled with the newest version; below it the authors of the newest versions."""
    settings = versions[0].settings if versions else ChannelSettings()
    number = versions[0].number if versions else 0
    instructions = text_input(
        "instructions",
        value=settings.instructions,
        multiline=True,
        max_length=INSTRUCTIONS_LENGTH,
    )
    model = model_input(settings.model, models)
    follow_ups = select("follow_ups", FOLLOW_UPS, settings.follow_ups or DEFAULT)
    users = select("users", texts.USERS_CHOICES, settings.users)
    people = users_select("people", settings.people)
    approvers = users_select("approvers", settings.approvers)
    blocks = [
        section(texts.about(channel_id)),
        input_block("instructions", texts.INSTRUCTIONS, instructions, hint=texts.INSTRUCTIONS_HINT),
        input_block("model", texts.MODEL, model, hint=texts.MODEL_HINT),
        input_block("follow_ups", texts.FOLLOW_UPS, follow_ups, optional=False),
        input_block("users", texts.USERS, users, optional=False),
        input_block("people", texts.PEOPLE, people, hint=texts.PEOPLE_HINT),
        input_block("approvers", texts.APPROVERS, approvers, hint=texts.APPROVERS_HINT),
    ]
    if servers:
        element = servers_input(servers, settings.servers_off)
        blocks.append(input_block("servers", texts.SERVERS, element, hint=texts.SERVERS_HINT))
    if versions:
        blocks.append(context("\n".join(map(render_version, versions))))
    return modal(
        CALLBACK,
        texts.TITLE,
        blocks,
        submit=texts.SAVE,
        close=texts.CANCEL,
        private_metadata=json.dumps({"channel": channel_id, "version": number}),
    )


def parse_settings(
    values: Mapping[str, Mapping[str, Payload]], servers: Sequence[str] = ()
) -> ChannelSettings:
    """Read `view.state.values`; empty fields get their defaults."""
    given = {name: next(iter(block.values()), {}) for name, block in values.items()}

    def chosen(name: str, allowed: tuple[str, ...], default: str | None) -> Any:
        option = given.get(name, {}).get("selected_option") or {}
        return option["value"] if option.get("value") in allowed else default

    default = ChannelSettings()
    return ChannelSettings(
        instructions=(given.get("instructions", {}).get("value") or "").strip(),
        model=read_model(given.get("model", {})),
        follow_ups=chosen("follow_ups", get_args(FollowUps), default.follow_ups),
        users=chosen("users", get_args(Users), default.users),
        people=tuple(given.get("people", {}).get("selected_users") or ()),
        approvers=tuple(given.get("approvers", {}).get("selected_users") or ()),
        servers_off=read_servers_off(given, servers),
    )
