"""A person's own conversations as JSON."""

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot.models import Conversation, Record
from bot.slack.surfaces.conversation_row import permalink
from bot.store import Store


async def export_conversations(
    store: Store, conversations: Sequence[Conversation], team_id: str, user_id: str, url: str
) -> bytes:
    """The person's conversations, as far as our record contains them.

    Written one by one: there may be thousands, and other turns must not be blocked.
    """
    file = io.BytesIO()
    about = json.dumps({"user_id": user_id, "team_id": team_id})
    file.write(about.removesuffix("}").encode() + b', "conversations": [')
    for number, conversation in enumerate(conversations):
        history = await store.conversations.history(conversation.thread)
        shown = json.dumps(_describe(conversation, history, url), ensure_ascii=False, indent=1)
        file.write((",\n" if number else "\n").encode() + shown.encode())
    file.write(b"\n]}\n")
    return file.getvalue()


def _describe(conversation: Conversation, history: list[Record], url: str) -> dict[str, Any]:
    return {
        "link": permalink(url, conversation),
        "channel_id": conversation.thread.channel_id,
        "thread_ts": conversation.thread.thread_ts,
        "started_by": conversation.user_id,
        "created_at": datetime.fromtimestamp(conversation.created_at, UTC).isoformat(),
        "messages": [
            {
                "role": line.role,
                "user_id": line.user_id or None,
                "ts": line.ts,
                "text": None if line.evicted else line.text,
            }
            for line in history
        ],
    }
