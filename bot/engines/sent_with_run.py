"""For engines whose messages travel with the run."""

from collections.abc import Sequence

from bot.media import Attachment
from bot.models import Conversation, Message


class SentWithRun:
    """The part of an engine that has nothing to append."""

    appends = False

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        """Messages are sent with the run."""
        return ""
