"""The objects of each workspace: the services of its turns."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.dlp import Dlp
from bot.dlp.engine import DlpEngine
from bot.engines.keyed import KeyedEngines
from bot.settings.prices import Price
from bot.slack.answer.approval_cards import ApprovalCards
from bot.slack.answer.notice import Notices
from bot.slack.answer.reply import Replies
from bot.slack.direct_messages import DirectMessages
from bot.slack.files import Files
from bot.slack.names import Names
from bot.slack.rights import Rights
from bot.slack.source import SlackSource
from bot.slack.threads import Threads
from bot.slack.workspaces import Workspace
from bot.store import Store
from bot.store.shards import Shards
from bot.timing import Timing
from bot.tools.accounts import Accounts
from bot.tools.toolbox import Toolbox
from bot.turn.background import BackgroundTasks
from bot.turn.charges import Charges
from bot.turn.connecting import Connecting
from bot.turn.gate import Gate
from bot.turn.limits import Limits
from bot.turn.services import Services
from bot.turn.throttle import PacedEngine, Throttle


@dataclass(frozen=True, slots=True)
class Shared:
    """The objects that the workspaces of one shard share in a worker."""

    timing: Timing
    shards: Shards
    """They share the pace of each key of the AI server."""
    engines: KeyedEngines
    dlp: Dlp
    prices: Mapping[str, Price]
    background: BackgroundTasks
    toolbox: Toolbox
    accounts: Accounts

    def services(self, workspace: Workspace, store: Store) -> Services:
        """The services of a workspace's turns and jobs; its data is in `store`."""
        settings, timing = workspace.settings, self.timing
        client, people, channels = workspace.client, workspace.people, workspace.channels
        rights = Rights(store, people, channels, settings)
        threads = Threads(client, Names(client, people, channels), workspace.identity)
        limits = Limits(store, settings, self.prices, timing.clock)
        engine, account = self.engines.of(workspace.ai_key)
        throttle = Throttle(store, settings, timing.throttle, account, self.shards)
        return Services(
            store=store,
            engine=DlpEngine(PacedEngine(engine, throttle), self.dlp),
            dlp=self.dlp,
            replies=self._replies(workspace, store),
            notices=Notices(client),
            cards=ApprovalCards(client, store, timing.answer),
            threads=threads,
            files=Files(client, timing.slack),
            source=SlackSource(client, channels, people, threads, rights),
            people=people,
            direct_messages=DirectMessages(client),
            rights=rights,
            gate=Gate(store, rights, limits, settings, self.dlp),
            limits=limits,
            charges=Charges(store, settings, self.prices, limits.reserving),
            throttle=throttle,
            background=self.background,
            toolbox=self.toolbox,
            connecting=Connecting(self.accounts, store, people, DirectMessages(client)),
            stop_grace=timing.engine.stop_grace,
            rerun_pause=timing.engine.rerun_pause,
            rollover_messages=settings.bot_rollover_messages,
            answer_messages=settings.bot_answer_messages,
            command_prefix=settings.bot_command_prefix,
            defaults=workspace.defaults,
            url=workspace.identity.url,
        )

    def _replies(self, workspace: Workspace, store: Store) -> Replies:
        settings = workspace.settings
        return Replies(
            workspace.client,
            store,
            bot_id=workspace.identity.bot_id,
            user_id=workspace.identity.user_id,
            live=settings.bot_streaming,
            feedback=settings.bot_feedback,
            reasoning=settings.bot_reasoning,
            messages=settings.bot_answer_messages,
            stream_channels=settings.bot_stream_channels,
            timing=self.timing.answer,
        )
