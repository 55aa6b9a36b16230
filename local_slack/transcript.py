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
    """The visible text of a message: that of its blocks if they have any, else its text.

    A message of rich text only is what a person typed: its text says the same.
    """
    blocks = message.get("blocks") or []
    if all(block["type"] == "rich_text" for block in blocks):
        return message.get("text") or ""
    texts = [_text_of_block(block) for block in blocks]
    return "\n\n".join(filter(None, texts)) or message.get("text") or ""


def _text_of_block(block: Json) -> str:
    if block["type"] == "markdown":
        return str(block["text"])
    if block["type"] == "section" and "text" in block:
        return str(block["text"]["text"])
    return _rich_text(block) if block["type"] == "rich_text" else ""


def _rich_text(block: Json) -> str:
    parts = []
    for element in block.get("elements") or []:
        text = "".join(str(each.get("text") or "") for each in element.get("elements") or [])
        is_code = element["type"] == "rich_text_preformatted"
        parts.append(f"```\n{text}\n```" if is_code and text else text)
    return "\n".join(filter(None, parts))
