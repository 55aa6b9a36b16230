"""A person's own conversations as JSON."""

import json
from datetime import UTC, datetime

from bot.slack.rows import permalink
from bot.store import Store


async def export_conversations(store: Store, team_id: str, user_id: str, url: str) -> bytes:
    """Every conversation that the person wrote in, as far as our record goes, the newest first."""
    conversations = await store.conversations.recent(team_id, user_id, limit=None)
    exported = []
    for conversation in conversations:
        history = await store.conversations.history(conversation.thread)
        exported.append(
            {
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
                        "text": line.text,
                    }
                    for line in history
                ],
            }
        )
    document = {"user_id": user_id, "team_id": team_id, "conversations": exported}
    return json.dumps(document, ensure_ascii=False, indent=2).encode()
