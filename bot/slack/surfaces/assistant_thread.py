"""The agent view: what a person sees who opens the bot, and the greeting of a new person."""

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.slack.client import slack_errors
from bot.store import Store
from bot.telemetry.log import log
from bot.texts.assistant_thread import GREETING, PROMPTS


class AssistantThread:
    """Shows itself once in the life of this process, when Slack takes it, greets once for ever."""

    def __init__(self, store: Store, client: AsyncWebClient) -> None:
        self._store = store
        self._client = client
        self._seen: set[str] = set()

    async def opened(self, team_id: str, channel_id: str, user_id: str) -> None:
        """A person has opened the messages of the bot."""
        if channel_id in self._seen:
            return
        self._seen.add(channel_id)
        try:
            with slack_errors():
                await self._client.assistant_threads_setSuggestedPrompts(
                    channel_id=channel_id,
                    prompts=[{"title": title, "message": message} for title, message in PROMPTS],
                )
                if await self._store.feedback.greet(team_id, user_id):
                    await self._client.chat_postMessage(channel=channel_id, text=GREETING)
        except (BotError, SlackApiError) as error:
            self._seen.discard(channel_id)
            log.info("assistant_thread_not_set", error=str(error)[:100])
