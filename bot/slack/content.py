"""The visible content of a Slack message, as text and files for the model. Pure.

Used for all input: events, edits, and threads read from Slack. Any shape is tolerated. Content that
is given twice, as in `text` and `blocks`, is taken once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.models import File
from bot.slack.block_text import block_text, dicts, is_table, link, quoted, string
from bot.slack.payload import Payload
from bot.slack.shared_files import parse_files, transcript
from bot.slack.text import REFERENCE, escape, parse_text, unescape
from bot.texts.prompts import CUT, forwarded, linked, voice_clip

MOST_CHARS = 60_000
"""Characters of one message; Slack accepts 40,000 characters of text, plus attachments."""
PREVIEW_CHARS = 1_500
"""Characters of the preview of one link."""
MOST_FILES = 50
DEEPEST = 4
"""Levels of forwarded messages within forwarded messages."""

FALLBACKS = frozenset(
    {
        "[no preview available]",
        "This content can't be displayed.",
        "This message contains interactive elements.",
    }
)
"""Slack's own texts in place of blocks, for clients that cannot show these."""

_FORMATTING = str.maketrans("", "", "*_~`")
_WORD = re.compile(r"\w+")
_VISIBLE = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
"""A character that people can see."""


@dataclass(frozen=True, slots=True)
class Content:
    """`own` are the author's words in Slack's wire format; the rest is plain text.

    `attached`: forwarded messages, and attachments of apps. `by_slack`: link previews and
    transcripts, which Slack adds itself, often later.
    """

    own: str
    attached: str = ""
    by_slack: str = ""
    files: tuple[File, ...] = ()

    def text(self, own: str) -> str:
        """All of it as plain text, with `own` in place of the author's words."""
        text = parse_text(own)
        if not _VISIBLE.search(text):
            text = ""
        return cut("\n\n".join(filter(None, (text, self.attached, self.by_slack))))


def read_content(message: Payload) -> Content:
    """The content of an event or of a message in a thread."""
    attachments = dicts(message.get("attachments"))
    attached = (attachment_text(each) for each in attachments if not _is_preview(each))
    by_slack = (*map(_preview, filter(_is_preview, attachments)), *_transcripts(message))
    by_app = bool(message.get("bot_id") or message.get("bot_profile"))
    return Content(
        own=_own(message, by_app=by_app),
        attached=cut("\n\n".join(filter(None, map(parse_text, attached)))),
        by_slack="\n\n".join(filter(None, by_slack)),
        files=tuple(_unique(_files(message)))[:MOST_FILES],
    )


def cut(text: str, most: int = MOST_CHARS) -> str:
    """The text, cut with a note if it is too long."""
    return text if len(text) <= most else f"{text[:most]}\n{CUT}"


def _is_preview(attachment: Payload) -> bool:
    """Whether Slack added it as a link preview: it may appear, change and disappear by itself."""
    has_source = attachment.get("from_url") or attachment.get("original_url")
    return bool(has_source) and not attachment.get("is_share")


def _preview(attachment: Payload) -> str:
    return cut(parse_text(attachment_text(attachment)), PREVIEW_CHARS)


def _own(message: Payload, *, by_app: bool) -> str:
    """The text plus what only the blocks contain, or the blocks alone if they contain everything.

    For people's messages Slack derives `text` from the blocks. Apps write it themselves, often as a
    short summary.
    """
    text = string(message.get("text"))
    blocks = [(each, said) for each in dicts(message.get("blocks")) if (said := block_text(each))]
    lines = [said for _, said in blocks]
    if text.strip() in FALLBACKS:
        text = ""
    if not lines or not text.strip():
        return "\n".join(lines) or text
    if by_app and _words(text) <= _words("\n".join(lines)):
        return "\n".join(lines)
    known = _words(text)
    return "\n".join(
        [text, *(said for each, said in blocks if is_table(each) or not _words(said) <= known)]
    )


def _words(wire: str) -> set[str]:
    """The words of a text without its formatting; references have other labels in blocks."""
    plain = REFERENCE.sub(_without_reference, wire).translate(_FORMATTING)
    return set(_WORD.findall(unescape(plain).casefold()))


def _without_reference(match: re.Match[str]) -> str:
    return " " if match[1][0] in "@#!" else match[2] or match[1]


def attachment_text(attachment: Payload, depth: int = 0) -> str:
    """An attachment in wire format; a message of another person is quoted below its author."""
    body = "\n".join(filter(None, _attachment_lines(attachment, depth)))
    if not _is_message(attachment):
        return body or _fallback(attachment)
    heading = _heading(attachment)
    return f"{heading}\n{quoted(body or _fallback(attachment))}".strip()


def _is_message(attachment: Payload) -> bool:
    return bool(attachment.get("is_share") or attachment.get("is_msg_unfurl"))


def _heading(attachment: Payload) -> str:
    author = escape(string(attachment.get("author_name") or attachment.get("author_subname")))
    if not author and (user_id := string(attachment.get("author_id"))):
        author = f"<@{user_id}>"
    channel = string(attachment.get("channel_name"))
    url = string(attachment.get("from_url"))
    where = ", ".join(filter(None, (f"#{escape(channel)}" if channel else "", link(url))))
    return (forwarded if attachment.get("is_share") else linked)(author, where)


def _attachment_lines(attachment: Payload, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    yield string(attachment.get("pretext"))
    if not _is_message(attachment):
        yield string(attachment.get("author_name"))
    yield _title(attachment)
    shown = _messages(attachment)
    texts = filter(None, (string(message.get("text")) for message in shown))
    text = string(attachment.get("text")) or "\n".join(texts)
    yield _own({"text": text, "blocks": _blocks(attachment)}, by_app=True)
    for field in dicts(attachment.get("fields")):
        parts = (string(field.get("title")), string(field.get("value")))
        yield ": ".join(filter(None, parts))
    yield _image(attachment)
    for action in dicts(attachment.get("actions")):
        yield block_text({**action, "type": "button"})
    for key in ("preview", "list", "entity"):
        if isinstance(part := attachment.get(key), dict):
            yield block_text(part)
    for inner in dicts(attachment.get("attachments")):
        yield attachment_text(inner, depth + 1)
    for message in shown:
        for inner in dicts(message.get("attachments")):
            yield attachment_text(inner, depth + 1)
    yield from map(escape, _transcripts(attachment))
    yield string(attachment.get("footer"))


def _title(attachment: Payload) -> str:
    title, url = string(attachment.get("title")), string(attachment.get("title_link"))
    if url and url != string(attachment.get("from_url")):
        return link(url, title)
    return title


def _image(attachment: Payload) -> str:
    url = string(attachment.get("image_url"))
    return link(url, "image") if url else ""


def _blocks(attachment: Payload) -> list[Payload]:
    """Its own blocks, and those of the messages that it quotes."""
    shown = [dicts(message.get("blocks")) for message in _messages(attachment)]
    return [*dicts(attachment.get("blocks")), *(block for blocks in shown for block in blocks)]


def _messages(attachment: Payload) -> list[Payload]:
    inner = (each.get("message") for each in dicts(attachment.get("message_blocks")))
    return [message for message in inner if isinstance(message, dict)]


def _fallback(attachment: Payload) -> str:
    fallback = string(attachment.get("fallback")).strip()
    return "" if fallback in FALLBACKS else fallback


def _transcripts(message: Payload) -> Iterator[str]:
    for file in dicts(message.get("files")):
        if words := transcript(file):
            yield voice_clip(string(file.get("name")), words)


def _files(message: Payload, depth: int = 0) -> Iterator[File]:
    """The files of the message and of forwarded messages, and those in its blocks."""
    yield from parse_files(message.get("files"))
    for block in dicts(message.get("blocks")):
        yield from parse_files([block.get("slack_file"), block.get("file")])
    if depth > DEEPEST:
        return
    for attachment in dicts(message.get("attachments")):
        yield from _files(attachment, depth + 1)
        for inner in _messages(attachment):
            yield from _files(inner, depth + 1)


def _unique(files: Iterable[File]) -> Iterable[File]:
    """Each file once, preferring the entry with an address."""
    found: dict[str, File] = {}
    for file in files:
        if file.id not in found or not found[file.id].url:
            found[file.id] = file
    return found.values()
