"""Files of a workspace, with their bytes."""

import mimetypes
import secrets

from local_slack.workspace.model import File
from local_slack.workspace.shapes import message_json
from local_slack.workspace.workspace import Workspace

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"


def expect(workspace: Workspace, user_id: str, name: str, length: int, alt_txt: str = "") -> File:
    """A file to be uploaded, to the address with its `upload_ticket`."""
    file = File(
        workspace.new_id("F"),
        name,
        title=name,
        mimetype=guess_type(name),
        user_id=user_id,
        created=int(workspace.clock.now()),
        alt_txt=alt_txt,
        length=length,
        upload_ticket=secrets.token_urlsafe(18),
    )
    workspace.files[file.id] = file
    return file


def upload(workspace: Workspace, user_id: str, name: str, content: bytes) -> File:
    """A file that a person drops into the message box."""
    file = expect(workspace, user_id, name, len(content))
    file.content, file.complete, file.upload_ticket = content, True, None
    return file


def transcribe(workspace: Workspace, file: File, text: str, *, in_messages: bool = False) -> None:
    """Complete the transcript of a recording, with the event `file_change`.

    With `in_messages` the messages that show the file change instead.
    """
    messages = [workspace.get_message(channel_id, ts) for channel_id, ts in file.shares]
    before = [message_json(workspace, message) for message in messages]
    preview = {"content": text, "has_more": False}
    file.transcription = {"status": "complete", "locale": "en-US", "preview": preview}
    if not in_messages:
        changed = {"file_id": file.id, "file": {"id": file.id}}
        workspace.changes.publish("file_changed", event=changed)
        return
    for message, previous in zip(messages, before, strict=True):
        workspace.changes.publish(
            "message_changed",
            channel_id=message.channel_id,
            message=message_json(workspace, message),
            previous_message=previous,
            event_ts=workspace.clock.next_ts(),
            streaming=False,
        )


def guess_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
