"""File contents: the upload address, and `url_private` with its login page."""

from collections.abc import Callable

from aiohttp import web

from local_slack.workspace.files import LOGIN_PAGE
from local_slack.workspace.workspace import Workspace


class FileServer:
    """The handlers of /upload/v1/{ticket} and /files-pri/..."""

    def __init__(
        self,
        workspace: Workspace,
        is_bot_token: Callable[[str], bool],
        may_read: Callable[[], bool],
    ) -> None:
        """`may_read`: whether the bot has the scope `files:read` now."""
        self._workspace = workspace
        self._is_bot_token = is_bot_token
        self._may_read = may_read

    async def upload(self, request: web.Request) -> web.Response:
        ticket = request.match_info["ticket"]
        for file in self._workspace.files.values():
            if file.upload_ticket == ticket:
                content = await _content(request)
                if len(content) != file.length:
                    return web.Response(status=400, text="size mismatch")
                file.content = content
                return web.Response(text=f"OK - {len(content)}")
        return web.Response(status=404, text="not found")

    async def download(self, request: web.Request) -> web.Response:
        """The bytes; without the bot's token or the scope a login page with status 200, as in
        Slack."""
        file_id = request.match_info["file"].rpartition("-")[2]
        file = self._workspace.files.get(file_id)
        if file is None or not file.complete:
            return web.Response(status=404, text="not found")
        header = request.headers.get("Authorization", "")
        is_bot = self._is_bot_token(header.removeprefix("Bearer "))
        if not is_bot or not self._may_read():
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        return web.Response(body=file.content, content_type=file.mimetype)


async def _content(request: web.Request) -> bytes:
    """The raw body, or the first part of a multipart form."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    form = await request.post()
    for value in form.values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""
