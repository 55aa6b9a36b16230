"""Threads as plain text, for a terminal or a report."""

from datetime import datetime

from local_slack.local_slack import LocalSlack
from local_slack.workspace.model import Json, Message


def show_thread(slack: LocalSlack, channel: str, ts: str, *, title: str = "") -> str:
    """A thread as plain text: authors and messages, in order."""
    lines = [f"── {title} " + "─" * max(0, 70 - len(title))] if title else []
    for message in slack.thread(channel, ts):
        name = slack.workspace.get_user(message.user_id).name
        when = datetime.fromtimestamp(float(message.ts)).astimezone().strftime("%H:%M:%S")
        lines.append(f"{name} {when}")
        lines += [f"  {line}" for line in readable(slack, message).splitlines()]
    return "\n".join(lines)


def readable(slack: LocalSlack, message: Message) -> str:
    text = text_of({"blocks": message.blocks, "text": message.text})
    for user in slack.workspace.users.values():
        text = text.replace(f"<@{user.id}>", f"@{user.name}")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def text_of(message: Json) -> str:
    """The visible text of a message: that of its blocks if they have any, else its text."""
    texts = []
    for block in message.get("blocks") or []:
        if block["type"] == "markdown":
            texts.append(block["text"])
        elif block["type"] == "section" and "text" in block:
            texts.append(block["text"]["text"])
    return "\n\n".join(texts) or message.get("text") or ""
