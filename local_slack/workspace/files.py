"""Files of a workspace, with their bytes."""

import mimetypes
import secrets

from local_slack.workspace.model import File
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


def guess_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
