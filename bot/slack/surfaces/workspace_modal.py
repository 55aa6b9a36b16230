"""The modal in which admins change the settings of their workspace and its AI key."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError

from bot.calls import ToolSummary
from bot.errors import BotError, ConfigError
from bot.slack.blocks import (
    DIVIDER,
    Block,
    button,
    context,
    header,
    input_block,
    modal,
    section,
    select,
    text_input,
    users_select,
)
from bot.slack.client import slack_errors
from bot.slack.payload import Payload
from bot.slack.surfaces.model_input import ListModels, model_input, read_model
from bot.slack.surfaces.servers_input import read_servers_off, servers_input, servers_of
from bot.slack.surfaces.workspace_numbers import Number, numbers_of, read_numbers
from bot.slack.workspaces import Workspace
from bot.store import Store
from bot.store.workspace_settings import INSTRUCTIONS_LENGTH, WorkspaceSettings, changes
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.texts import workspace_settings as texts

CALLBACK = "workspace_settings"
EDIT = "edit_workspace"
KEY_LENGTH = 500
TRY_SECONDS = 2.0
"""Slack waits 3 seconds for the answer to a form."""


TryKey = Callable[[str], Awaitable[str]]
"""Takes a key; returns why it does not work, or ""."""


class WorkspaceModal:
    """Opens the modal and saves the submission; checks both times that the person is an admin."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        tools: ToolSummary,
        try_key: TryKey,
        models: ListModels,
    ) -> None:
        """`models` are those of the deployment's key of the AI server."""
        self._models = models
        self._workspace = workspace
        self._store = store
        self._servers = servers_of(tools)
        self._try_key = try_key

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(EDIT)(self.open)
        app.view(CALLBACK)(self.submit)

    async def open(self, ack: AsyncAck, body: Payload) -> None:
        """Handle the button in App Home."""
        workspace = self._workspace
        if await workspace.people.is_admin(body["user"]["id"]):
            version = await self._store.workspaces.newest(workspace.id)
            numbers = numbers_of(workspace.id, workspace.operators, version.settings)
            has_key = bool(workspace.ai_key)
            models = () if has_key else await self._models()
            view = render_modal(
                version.settings, version.number, self._servers, models, numbers, has_key=has_key
            )
            try:
                with slack_errors():
                    await workspace.client.views_open(trigger_id=body["trigger_id"], view=view)
            except (BotError, SlackApiError) as error:
                log.warning("modal_not_opened", error=str(error)[:100])
        await ack()

    async def submit(self, ack: AsyncAck, view: Payload, body: Payload) -> None:
        """Save a new version, unless the key does not work or another version was saved first."""
        user_id, team_id = body["user"]["id"], self._workspace.id
        values = _read(view["state"]["values"])
        if not await self._workspace.people.is_admin(user_id):
            audit_log.record(
                "refusal", team=team_id, user=user_id, what="workspace", reason="not_admin"
            )
            await _refuse(ack, "instructions", texts.ADMINS_ONLY)
            return
        before = (await self._store.workspaces.newest(team_id)).settings
        numbers = numbers_of(team_id, self._workspace.operators, before)
        lowered, problems = read_numbers(values, numbers)
        if problems:
            await ack(response_action="errors", errors=problems)
            return
        key = (values.get("key", {}).get("value") or "").strip()
        if problem := await self._key_problem(key, removes=_removes(values)):
            await _refuse(ack, "key", problem)
            return
        number = json.loads(view["private_metadata"])["version"]
        after = replace(parse_settings(values, before, self._servers), **lowered)
        book = self._store.workspaces
        if not await book.save(team_id, after, user_id=user_id, after=number):
            await _refuse(ack, "instructions", texts.CHANGED_MEANWHILE)
            return
        if key or _removes(values):
            await book.save_ai_key(team_id, key)
        changed = [*changes(before, after), *(["ai_key"] if key or _removes(values) else [])]
        audit_log.record("settings_changed", team=team_id, user=user_id, changed=changed)
        log.info("workspace_configured", team=team_id, user=user_id, changed=changed)
        await ack()

    async def _key_problem(self, key: str, *, removes: bool) -> str:
        if not key:
            return ""
        if removes:
            return texts.KEY_AND_REMOVAL
        try:
            self._store.sealed.seal("ai_key", self._workspace.id, key)
        except ConfigError:
            return texts.NO_ENCRYPTION
        try:
            async with asyncio.timeout(TRY_SECONDS):
                problem = await self._try_key(key)
        except TimeoutError:
            return texts.KEY_SLOW
        return texts.key_refused(problem) if problem else ""


def home_blocks(workspace: Workspace) -> list[Block]:
    """The section of App Home for admins."""
    names = changes(WorkspaceSettings(), workspace.defaults)
    own = [*names, "ai_key"] if workspace.ai_key else names
    return [
        DIVIDER,
        header(texts.HEADING),
        section(f"{texts.ABOUT}\n{texts.summary(own)}", button(texts.EDIT, EDIT, workspace.id)),
    ]


def render_modal(
    settings: WorkspaceSettings,
    number: int,
    servers: Sequence[str],
    models: Sequence[str] = (),
    numbers: Sequence[Number] = (),
    *,
    has_key: bool,
) -> dict[str, Any]:
    """The form, filled with the settings of version `number`. A key is never shown."""
    instructions = text_input(
        "instructions",
        value=settings.instructions,
        multiline=True,
        max_length=INSTRUCTIONS_LENGTH,
    )
    model, key = model_input(settings.model, models), text_input("key", max_length=KEY_LENGTH)
    admins = users_select("admins", settings.admins)
    blocks = [
        input_block("instructions", texts.INSTRUCTIONS, instructions, hint=texts.INSTRUCTIONS_HINT),
        input_block("model", texts.MODEL, model, hint=texts.MODEL_HINT),
        input_block("admins", texts.ADMINS, admins, hint=texts.ADMINS_HINT),
    ]
    if servers:
        element = servers_input(servers, settings.servers_off)
        blocks.append(input_block("servers", texts.SERVERS, element, hint=texts.SERVERS_HINT))
    blocks += [number.block(settings) for number in numbers]
    blocks.append(input_block("key", texts.KEY, key, hint=texts.KEY_HINT))
    if has_key:
        use = select("key_use", texts.KEY_USES, "keep")
        blocks.append(input_block("key_use", texts.KEY_USE, use, optional=False))
    blocks.append(context(texts.OWN_KEY if has_key else texts.OPERATORS_KEY))
    return modal(
        CALLBACK,
        texts.TITLE,
        blocks,
        submit="Save",
        close="Cancel",
        private_metadata=json.dumps({"version": number}),
    )


def parse_settings(
    values: Mapping[str, Payload], before: WorkspaceSettings, servers: Sequence[str]
) -> WorkspaceSettings:
    """The settings after a submission; numbers stay."""
    return replace(
        before,
        instructions=(values.get("instructions", {}).get("value") or "").strip(),
        model=read_model(values.get("model", {})),
        admins=tuple(values.get("admins", {}).get("selected_users") or ()),
        servers_off=read_servers_off(values, servers, before.servers_off),
    )


def _read(values: Mapping[str, Mapping[str, Payload]]) -> dict[str, Payload]:
    return {name: next(iter(block.values()), {}) for name, block in values.items()}


def _removes(values: Mapping[str, Payload]) -> bool:
    chosen = values.get("key_use", {}).get("selected_option") or {}
    return bool(chosen.get("value") == "remove")


async def _refuse(ack: AsyncAck, block_id: str, words: str) -> None:
    await ack(response_action="errors", errors={block_id: words})
