"""App Home: help, a person's conversations and usage, and for admins the channel settings.

Slack's limits: 100 blocks a view, https://docs.slack.dev/surfaces/app-home.
"""

from collections.abc import Mapping, Sequence

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import ConnectedAccounts
from bot.errors import BotError
from bot.models import Thread
from bot.slack.blocks import (
    DIVIDER,
    Block,
    actions,
    button,
    channel_select,
    confirmation,
    context,
    header,
    home,
    section,
)
from bot.slack.client import slack_errors
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.surfaces.commands.usage import own_usage
from bot.slack.surfaces.conversation_row import conversation_row
from bot.slack.surfaces.job_buttons import job_button
from bot.slack.surfaces.shortcuts import ask_reset
from bot.store import Store
from bot.store.channel_settings import ChannelSettings, Version
from bot.store.jobs import Job
from bot.telemetry.log import log
from bot.texts import accounts as account_texts
from bot.texts import channel_settings as channel_texts
from bot.texts import commands
from bot.texts import home as texts

RESET = "home_reset"
CONFIGURE = "configure_channel"
EDIT = "edit_channel"
DISCONNECT = "disconnect_account"
MOST_ACCOUNTS = 20
RECENT = 10
CHANNELS = 20

JOB_BUTTONS: Mapping[Job, Block] = {
    "export": job_button("export", texts.EXPORT),
    "forget_me": job_button(
        "forget_me", texts.FORGET_ME, confirm=commands.FORGET_ME_TEXT, danger=True
    ),
    "chart": job_button("chart", texts.CHART),
}


async def is_home_tab(event: Payload) -> bool:
    """The tab of the event: both tabs send `app_home_opened`."""
    return event.get("tab") == "home"


class Home:
    """The listeners of App Home."""

    def __init__(
        self,
        store: Store,
        people: People,
        rights: Rights,
        client: AsyncWebClient,
        url: str,
        accounts: ConnectedAccounts,
        prefix: str = "",
        admin_blocks: Sequence[Block] = (),
    ) -> None:
        """`url` is the workspace's address, for links to conversations; `prefix` the first part of
        the commands' names; `admin_blocks` are shown to admins."""
        self._admin_blocks = admin_blocks
        self._accounts = accounts
        self._store = store
        self._people = people
        self._rights = rights
        self._client = client
        self._url = url
        self._prefix = prefix

    def register(self, app: AsyncApp) -> None:
        """Register the listeners, before other listeners of `app_home_opened`."""
        app.event("app_home_opened", matchers=[is_home_tab])(self.app_home_opened)
        app.action(RESET)(self.reset)
        app.action(DISCONNECT)(self.disconnect)

    async def app_home_opened(self, event: Payload, context: AsyncBoltContext) -> None:
        """Publish the person's App Home."""
        await self.publish(installation(context), event["user"])

    async def reset(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle a Reset button: the conversation leaves the list immediately, the server soon."""
        thread, team_id = Thread.parse(action["value"]), installation(context)
        without: Thread | None = thread
        if thread.team_id == team_id:
            at, trigger_id = action["action_ts"], body["trigger_id"]
            problem = await ask_reset(
                self._store, self._rights, thread, body["user"], at, trigger_id
            )
            without = None if problem else thread
        await ack()
        await self.publish(team_id, body["user"]["id"], without=without)

    async def disconnect(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle a Disconnect button: the account is the presser's own."""
        team_id, user_id = installation(context), body["user"]["id"]
        await ack()
        await self._accounts.disconnect(team_id, user_id, action["value"])
        await self.publish(team_id, user_id)

    async def confirm_job(self, team_id: str, user_id: str, job: Job) -> None:
        """Confirm the job below the pressed button."""
        await self.publish(team_id, user_id, asked=job)

    async def publish(
        self,
        team_id: str,
        user_id: str,
        *,
        without: Thread | None = None,
        asked: Job | None = None,
    ) -> None:
        """Publish a person's App Home again. Best effort."""
        blocks = await self._blocks(team_id, user_id, without, asked)
        try:
            with slack_errors():
                await self._client.views_publish(user_id=user_id, view=home(blocks))
        except (BotError, SlackApiError) as error:
            log.warning("home_not_published", user=user_id, error=str(error)[:100])

    async def _blocks(
        self, team_id: str, user_id: str, without: Thread | None, asked: Job | None
    ) -> list[Block]:
        is_admin = await self._people.is_admin(user_id)
        return [
            header(texts.CONVERSATIONS),
            *(await self._conversations(team_id, user_id, without) or [section(texts.NONE)]),
            *_job_buttons(("export", "forget_me"), asked),
            *(await self._connected(team_id, user_id)),
            *(self._admin_blocks if is_admin else ()),
            *(await self._channels(team_id) if is_admin else ()),
            DIVIDER,
            header(texts.USAGE),
            section(await own_usage(self._store, team_id, user_id)),
            *_job_buttons(("chart",), asked),
            DIVIDER,
            header(commands.HELP_HEADING),
            section(commands.with_prefix(commands.HELP_TEXT, self._prefix)),
        ]

    async def _conversations(
        self, team_id: str, user_id: str, without: Thread | None
    ) -> list[Block]:
        recent = await self._store.conversations.recent(team_id, user_id, limit=RECENT)
        visible = await self._rights.visible(user_id, recent)
        found = [conversation for conversation in visible if conversation.thread != without]
        histories = await self._store.conversations.histories([each.thread for each in found])
        return [
            conversation_row(conversation, records, RESET, url=self._url)
            for conversation, records in zip(found, histories, strict=True)
        ]

    async def _connected(self, team_id: str, user_id: str) -> list[Block]:
        """The person's own accounts at tool servers."""
        servers = await self._accounts.connected(team_id, user_id)
        if not servers:
            return []
        label, question = account_texts.DISCONNECT, account_texts.CONFIRM
        asked = confirmation(label, question, yes=texts.YES, no=texts.NO)
        rows = [
            section(f"*{name}*", button(label, DISCONNECT, name, confirm=asked))
            for name in servers[:MOST_ACCOUNTS]
        ]
        return [DIVIDER, header(account_texts.HOME_HEADING), *rows]

    async def _channels(self, team_id: str) -> list[Block]:
        picker = channel_select(CONFIGURE, texts.CHOOSE_CHANNEL)
        blocks = [DIVIDER, header(texts.CHANNELS), section(texts.CHANNELS_ABOUT, picker)]
        for channel_id in (await self._store.channels.configured(team_id))[:CHANNELS]:
            (version,) = await self._store.channels.versions(team_id, channel_id, 1)
            words = f"*<#{channel_id}>*: {_summary(version.settings)}\n{render_version(version)}"
            blocks.append(section(words, button(texts.EDIT, EDIT, channel_id)))
        return blocks


def render_version(version: Version) -> str:
    """The author and time of a version of a channel's settings."""
    return channel_texts.version(version.number, version.user_id, version.at)


def _summary(settings: ChannelSettings) -> str:
    """A summary of a channel's own settings."""
    users = {
        "members": "",
        "guests": channel_texts.GUESTS_SHORT,
        "people": channel_texts.people_short(settings.people),
    }
    parts = (
        channel_texts.INSTRUCTIONS_SHORT if settings.instructions else "",
        f"`{settings.model}`" if settings.model else "",
        channel_texts.FOLLOW_UPS_SHORT[settings.follow_ups] if settings.follow_ups else "",
        users[settings.users],
        channel_texts.approvers_short(settings.approvers),
        channel_texts.servers_short(settings.servers_off),
    )
    return "; ".join(filter(None, parts)) or channel_texts.DEFAULT


def _job_buttons(jobs_offered: Sequence[Job], asked: Job | None) -> list[Block]:
    """The job buttons, and a confirmation below them if one was pressed."""
    buttons = actions(*(JOB_BUTTONS[job] for job in jobs_offered))
    return [buttons, context(texts.ASKED)] if asked in jobs_offered else [buttons]
