"""Bolt's app of one workspace, with all its listeners."""

import logging
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.logger.messages import warning_client_prioritized_and_token_skipped
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import ConnectedAccounts, ToolSummary
from bot.errors import BotError, StoreUnavailable
from bot.slack.events import Listeners
from bot.slack.messages import Messages
from bot.slack.origin import installation
from bot.slack.rights import Rights
from bot.slack.surfaces.account_code import AccountCode
from bot.slack.surfaces.approvals import ApprovalButtons
from bot.slack.surfaces.channel_modal import ChannelModal
from bot.slack.surfaces.commands import Answer, Ask, Command, all_commands
from bot.slack.surfaces.feedback import AnswerButtons
from bot.slack.surfaces.home import Home
from bot.slack.surfaces.job_buttons import JobButtons
from bot.slack.surfaces.model_input import ListModels
from bot.slack.surfaces.shortcuts import Buttons
from bot.slack.surfaces.workspace_modal import TryKey, WorkspaceModal, home_blocks
from bot.slack.unavailable import report_unavailable
from bot.slack.workspaces import Workspace
from bot.store import Store, jobs
from bot.telemetry.log import log
from bot.timing import SlackTiming

# Bolt gets our client on purpose; its warning about the token in the environment is noise.
logging.getLogger("slack_bolt.AsyncApp").addFilter(
    lambda record: record.getMessage() != warning_client_prioritized_and_token_skipped()
)


INTERACTIONS = frozenset(
    {"block_actions", "message_action", "shortcut", "view_closed", "view_submission"}
)
"""Requests with values that we wrote into a button or a modal. They may be of another version."""


class WorkspaceApp(AsyncApp):
    """Bolt's app of one workspace."""

    def __init__(self, messages: Messages, **options: Any) -> None:
        super().__init__(**options)
        self._messages = messages

    def is_our_own(self, event: Any) -> bool:
        """Whether the event is about one of the bot's own messages."""
        if not isinstance(event, dict) or event.get("type") != "message":
            return False
        inner = event.get("message") or event.get("previous_message")
        return self._messages.is_ours(inner if isinstance(inner, dict) else event)

    def is_mentioned(self, event: Mapping[str, Any]) -> bool:
        """Whether a new message mentions the bot of this workspace."""
        is_new = event.get("subtype") not in ("message_changed", "message_deleted")
        return is_new and self._messages.mentions_us(event)


def open_app(
    timing: SlackTiming,
    tools: ToolSummary,
    accounts: ConnectedAccounts,
    try_key: TryKey,
    models: ListModels,
    workspace: Workspace,
    store: Store,
) -> WorkspaceApp:
    """The Bolt app of a workspace, whose data is in `store`."""
    people, channels = workspace.people, workspace.channels
    rights = Rights(store, people, channels, workspace.settings, look_up_seconds=timing.look_up)
    return build_app(workspace, store, rights, tools, accounts, try_key, models)


def build_app(
    workspace: Workspace,
    store: Store,
    rights: Rights,
    tools: ToolSummary,
    accounts: ConnectedAccounts,
    try_key: TryKey,
    models: ListModels,
) -> WorkspaceApp:
    """The app of a workspace, with the listeners of all our events, commands, shortcuts and
    buttons."""
    app = _create_app(workspace)
    settings, client, people = workspace.settings, workspace.client, workspace.people
    url, prefix = workspace.identity.url, settings.bot_command_prefix
    listeners = Listeners(store, client, workspace.identity, people, rights, settings)
    listeners.register_messages(app)
    admin_blocks = home_blocks(workspace) if workspace.is_configurable else []
    home = Home(store, people, rights, client, url, accounts, prefix, admin_blocks)
    home.register(app)
    if workspace.is_configurable:
        WorkspaceModal(workspace, store, tools, try_key, models).register(app)
    ChannelModal(store, people, client, home, tools, models).register(app)
    listeners.register(app)
    Buttons(store, rights).register(app)
    JobButtons(store, home.confirm_job).register(app)
    AnswerButtons(store, rights).register(app)
    ApprovalButtons(store, rights, client).register(app)
    AccountCode(accounts, rights, client).register(app)
    for command in all_commands():
        name = f"/{prefix}{command.name.removeprefix('/')}"
        app.command(name)(_command_listener(command, workspace, store, rights, tools))
    app.error(_report)
    return app


def _create_app(workspace: Workspace) -> WorkspaceApp:
    """The app without listeners."""
    client, identity = workspace.client, workspace.identity

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=identity.enterprise_id or None,
            team_id=identity.team_id,
            bot_user_id=identity.user_id,
            bot_id=identity.bot_id,
            bot_token=await client.fresh_token(),
        )

    return WorkspaceApp(
        Messages(identity),
        name="threadbot",  # otherwise Bolt reads the source of every caller to find a name
        # Bolt gives each listener a client with the token that `authorize` returns.
        client=AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[]),
        authorize=authorize,
        request_verification_enabled=False,  # `add_events_route` verifies before it parses
        ssl_check_enabled=False,  # the dispatcher answers both checks of the address
        url_verification_enabled=False,
        attaching_function_token_enabled=False,  # the app has no steps of workflows
        raise_error_for_unhandled_request=True,  # for `_report`
        process_before_response=True,  # by default Bolt returns 200 before the listener has run
        attaching_conversation_kwargs_enabled=False,
    )


async def _report(error: Exception, body: Mapping[str, Any]) -> BoltResponse | None:
    """Log the error of a listener, and refuse a malformed interaction.

    An event that no listener takes is acknowledged: else Slack would send it again, and in the end
    disable the app's events. An admin may have subscribed to it.
    """
    if isinstance(error, BoltUnhandledRequestError):
        log.info("request_not_handled", kind=body.get("type") or "command")
        return BoltResponse(status=200 if body.get("type") == "event_callback" else 404)
    if body.get("type") in INTERACTIONS and isinstance(error, ValueError | KeyError):
        log.warning("interaction_malformed", kind=body["type"], where=_where(error))
        return BoltResponse(status=400)
    if isinstance(error, StoreUnavailable):
        report_unavailable(error)
        return None
    log.error(
        "listener_failed",
        error=type(error).__name__,
        event_id=body.get("event_id"),
        kind=body.get("type") or body.get("command"),
        exc_info=None if isinstance(error, BotError) else error,
    )
    return None


def _where(error: Exception) -> str:
    """The file and line that raised an error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"


async def _answer(command: Command, ask: Ask) -> Answer:
    place = jobs.place(ask.team_id, ask.user_id)
    reason = "" if command.for_everyone else await ask.rights.refusal_of(place, ask.user_id)
    return {"text": await ask.rights.explain(reason)} if reason else await command.answer(ask)


def _command_listener(
    command: Command, workspace: Workspace, store: Store, rights: Rights, tools: ToolSummary
) -> Any:
    async def listen(ack: AsyncAck, body: Mapping[str, Any], context: AsyncBoltContext) -> None:
        ask = Ask(
            team_id=installation(context),
            channel_id=body["channel_id"],
            user_id=body["user_id"],
            text=body.get("text") or "",
            store=store,
            people=workspace.people,
            rights=rights,
            tools=tools,
            url=workspace.identity.url,
            prefix=workspace.settings.bot_command_prefix,
            scopes=workspace.identity.scopes,
        )
        await ack(**await _answer(command, ask), response_type="ephemeral")

    return listen
