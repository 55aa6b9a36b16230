"""Files of a message in the form of each protocol."""

import base64
from collections.abc import Iterable
from typing import Any

from bot.engines.api import Api
from bot.errors import RunFailed
from bot.media import AUDIO, Attachment, inlined

EXPIRES_SECONDS = 30 * 86400
"""How long the server keeps an uploaded file; the longest it offers."""

_TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".json", ".jsonl")


def input_part(attachment: Attachment) -> dict[str, Any]:
    """A part of an input message of the Responses protocol."""
    if attachment.kind == "text":
        return {"type": "input_text", "text": inlined(attachment)}
    encoded = base64.b64encode(attachment.data).decode()
    if attachment.kind == "audio":
        sound = {"data": encoded, "format": AUDIO[attachment.mimetype]}
        return {"type": "input_audio", "input_audio": sound}
    url = f"data:{attachment.mimetype or 'text/plain'};base64,{encoded}"
    if attachment.kind == "image":
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    return {"type": "input_file", "filename": attachment.name, "file_data": url}


def chat_part(attachment: Attachment) -> dict[str, Any]:
    """A part of a message of the chat completions protocol."""
    if attachment.kind == "text":
        return {"type": "text", "text": inlined(attachment)}
    encoded = base64.b64encode(attachment.data).decode()
    if attachment.kind == "audio":
        sound = {"data": encoded, "format": AUDIO[attachment.mimetype]}
        return {"type": "input_audio", "input_audio": sound}
    url = f"data:{attachment.mimetype or 'text/plain'};base64,{encoded}"
    if attachment.kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": attachment.name, "file_data": url}}


async def message_content(api: Api, text: str, attachments: Iterable[Attachment]) -> dict[str, Any]:
    """Content and attachments of a message of the Assistants protocol; files are uploaded."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    attached: list[dict[str, Any]] = []
    for attachment in attachments:
        if attachment.kind == "text":
            parts.append({"type": "text", "text": inlined(attachment)})
            continue
        is_image = attachment.kind == "image"
        file_id = await _upload(api, attachment, "vision" if is_image else "assistants")
        if is_image:
            image = {"file_id": file_id, "detail": "auto"}
            parts.append({"type": "image_file", "image_file": image})
        else:
            is_table = attachment.name.lower().endswith(_TABLES)
            tool = "code_interpreter" if is_table else "file_search"
            attached.append({"file_id": file_id, "tools": [{"type": tool}]})
    return {"content": parts} | ({"attachments": attached} if attached else {})


async def _upload(api: Api, attachment: Attachment, purpose: str) -> str:
    file = (attachment.name, attachment.data, attachment.mimetype or "application/octet-stream")
    expiry = {"anchor": "created_at", "seconds": EXPIRES_SECONDS}
    try:
        return await api.upload(file, purpose, expires_after=expiry)
    except RunFailed as error:
        if error.reason not in ("bad_request", "unsupported_parameter"):
            raise
    # Older servers refuse this field.
    return await api.upload(file, purpose)
