"""Files in a form that a model can read: text as UTF-8, canvases as text, images as images.

Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.media import Attachment, FileKind
from bot.models import File
from bot.slack.block_text import string
from bot.slack.downloads import UnreadableFile
from bot.slack.encodings import decode, is_text
from bot.slack.html_text import html_text
from bot.slack.shared_files import transcript
from bot.texts.files import UNREADABLE, partly

CANVASES = frozenset({"application/vnd.slack-docs", "application/vnd.slack-canvas"})

_PICTURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"))
_CUE = re.compile(r"\d\d:\d\d.*-->")


def is_canvas(file: File) -> bool:
    """Whether Slack returns its content as HTML."""
    return file.mimetype in CANVASES


def as_attachment(file: File, kind: FileKind, data: bytes) -> Attachment:
    """A file in a format that the model accepts. Raises UnreadableFile if its content does not
    match its name."""
    if is_canvas(file):
        text, _ = decode(data)
        return _text(file, html_text(text))
    attachment = Attachment(file.name, file.mimetype, kind, data)
    if kind != "text" and not file.mimetype.startswith("text/"):
        return attachment
    if not is_text(data):
        raise UnreadableFile(UNREADABLE)
    text, certain = decode(data)
    return replace(
        attachment,
        data=text.encode(errors="replace"),
        doubt="" if certain else partly(file.name),
    )


def as_thumbnail(file: File, data: bytes) -> Attachment:
    """Slack's own rendering of an image in a format that models do not accept."""
    for mark, mimetype in _PICTURES:
        if data.startswith(mark):
            return Attachment(file.name, mimetype, "image", data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Attachment(file.name, "image/webp", "image", data)
    raise UnreadableFile(UNREADABLE)


def transcript_of(file: File, text: str) -> Attachment:
    """A recording as its transcript."""
    return _text(file, text)


def is_transcribing(file: Mapping[str, Any]) -> bool:
    """Whether Slack is still transcribing a recording."""
    found = file.get("transcription")
    return isinstance(found, dict) and found.get("status") == "processing"


def complete_transcript(file: Mapping[str, Any]) -> str:
    """The address of a long recording's transcript (`transcription` has only its start)."""
    found = file.get("transcription")
    complete = isinstance(found, dict) and found.get("status") == "complete"
    return string(file.get("vtt")) if complete else ""


def has_transcript(file: Mapping[str, Any]) -> bool:
    """Whether a recording has a transcript or will get one."""
    return bool(transcript(file) or complete_transcript(file))


def captions_text(vtt: str) -> str:
    """The text of a caption file (WebVTT)."""
    lines = (line.strip() for line in vtt.lstrip("\ufeff").splitlines())
    spoken = (line for line in lines if line and not _CUE.match(line) and not line.isdecimal())
    return " ".join(line for line in spoken if not line.startswith(("WEBVTT", "NOTE", "Kind:")))


def _text(file: File, text: str) -> Attachment:
    return Attachment(file.name, "text/plain", "text", text.encode(errors="replace"))
