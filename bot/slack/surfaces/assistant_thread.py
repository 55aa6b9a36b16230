"""The agent view: suggested prompts, and the greeting of a new person."""

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.slack.client import slack_errors
from bot.store import Store
from bot.telemetry.log import log
from bot.texts.assistant_thread import GREETING, PROMPTS
from bot.texts.commands import with_prefix


class AssistantThread:
    """Greets each person only once; sets the prompts once per process and person.

    `prefix` is the first part of the commands' names.
    """

    def __init__(self, store: Store, client: AsyncWebClient, prefix: str = "") -> None:
        self._store = store
        self._client = client
        self._greeting = with_prefix(GREETING, prefix)
        self._seen: set[str] = set()

    async def opened(self, team_id: str, channel_id: str, user_id: str) -> None:
        """Handle the opening of the Messages tab."""
        if channel_id in self._seen:
            return
        self._seen.add(channel_id)
        try:
            with slack_errors():
                if await self._store.feedback.greet(team_id, user_id):
                    await self._client.chat_postMessage(channel=channel_id, text=self._greeting)
                # Refused by some workspaces, which must not cost the greeting.
                await self._client.assistant_threads_setSuggestedPrompts(
                    channel_id=channel_id,
                    prompts=[{"title": title, "message": message} for title, message in PROMPTS],
                )
        except (BotError, SlackApiError) as error:
            self._seen.discard(channel_id)
            log.info("assistant_thread_not_set", error=str(error)[:100])
