"""Slack's file objects. Pure.

https://docs.slack.dev/reference/objects/file-object
"""

from typing import Any

from bot.models import File
from bot.slack.block_text import dicts, number, string
from bot.slack.payload import Payload

THUMBNAILS = ("thumb_1024", "thumb_960", "thumb_800", "thumb_720", "thumb_480", "thumb_360")
"""Largest first."""


def parse_files(files: Any) -> tuple[File, ...]:
    """The files of a message. A Slack Connect stub has only an id; the other fields are empty."""
    return tuple(
        parse_file(file)
        for file in dicts(files)
        if string(file.get("id")) and file.get("mode") != "tombstone"
    )


def parse_file(file: Payload) -> File:
    """Read a file object that has an id."""
    return File(
        id=string(file.get("id")),
        name=string(file.get("name")) or string(file.get("title")),
        mimetype=_mimetype(file),
        size=number(file.get("size")),
        url=string(file.get("url_private_download")) or string(file.get("url_private")),
        thumbnail=next(filter(None, (string(file.get(key)) for key in THUMBNAILS)), ""),
        transcribed=bool(transcript(file)),
    )


def transcript(file: Payload) -> str:
    """Slack's transcript of a voice clip; "" until it is finished."""
    found = file.get("transcription")
    if not isinstance(found, dict) or found.get("status") != "complete":
        return ""
    preview = found.get("preview")
    if not isinstance(preview, dict) or preview.get("has_more"):
        return ""
    return string(preview.get("content")).strip()


def _mimetype(file: Payload) -> str:
    """Slack calls voice clips `video/mp4` as often as `audio/mp4`."""
    kind = string(file.get("mimetype"))
    return kind.replace("video/", "audio/") if file.get("subtype") == "slack_audio" else kind
