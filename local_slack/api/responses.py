"""Responses of the app to an interaction: in the acknowledgement or through its response_url."""

from typing import Any

from aiohttp import web

from local_slack.delivery.interactions import Interactions, ResponseUrl
from local_slack.workspace.blocks import check_message_blocks
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, Message
from local_slack.workspace.workspace import Workspace

MAX_BODY_TEXT = 40_000


def respond(workspace: Workspace, url: ResponseUrl, body: Json) -> None:
    """Carry out a response body: post, replace or delete; raises SlackError."""
    source = _source(workspace, url)
    if body.get("delete_original"):
        if source is None:
            raise SlackError("message_not_found")
        _delete(workspace, source)
        return
    content = _content(body)
    if source is not None and body.get("replace_original"):
        _replace(workspace, source, content)
        return
    in_channel = body.get("response_type") == "in_channel"
    workspace.put(
        Message(
            url.channel_id,
            workspace.clock.next_ts(),
            workspace.bot.id,
            # Documented for in_channel only; by default a response goes to the channel.
            thread_ts=body.get("thread_ts") if in_channel else None,
            bot_id=workspace.bot.bot_id,
            app_id=workspace.app_id,
            metadata=body.get("metadata") if in_channel else None,
            visible_to=None if in_channel else url.user_id,
            **content,
        )
    )


def _source(workspace: Workspace, url: ResponseUrl) -> Message | None:
    if url.source_ts is None:
        return None
    found = workspace.find_message(url.channel_id, url.source_ts)
    return found or find_ephemeral(workspace, url.channel_id, url.source_ts)


def find_ephemeral(workspace: Workspace, channel_id: str, ts: str) -> Message | None:
    for message in workspace.ephemerals:
        if message.channel_id == channel_id and message.ts == ts:
            return message
    return None


def _content(body: Json) -> dict[str, Any]:
    text, blocks = body.get("text") or "", body.get("blocks")
    attachments = body.get("attachments") or []
    if not isinstance(blocks, list | None):
        raise SlackError("invalid_blocks")
    if not (text or blocks or attachments):
        raise SlackError("no_text")
    return {
        "text": str(text)[:MAX_BODY_TEXT],
        "blocks": check_message_blocks(blocks),
        "attachments": attachments,
    }


def _replace(workspace: Workspace, source: Message, content: dict[str, Any]) -> None:
    if source.visible_to is None:
        workspace.change(source, **content)
        return
    workspace.ephemerals.remove(source)
    kept = {name: value for name, value in vars(source).items() if name not in content}
    workspace.put(Message(**kept, **content))


def _delete(workspace: Workspace, source: Message) -> None:
    if source.visible_to is None:
        workspace.delete(source)
        return
    workspace.ephemerals.remove(source)
    workspace.changes.publish(
        "ephemeral_deleted",
        channel_id=source.channel_id,
        visible_to=source.visible_to,
        deleted_ts=source.ts,
    )


class ResponseUrls:
    """The handler of /response/{key}."""

    def __init__(self, workspace: Workspace, interactions: Interactions) -> None:
        self._workspace = workspace
        self._interactions = interactions

    async def serve(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        try:
            url = self._interactions.use_url(request.match_info["key"])
            respond(self._workspace, url, body)
        except SlackError as error:
            status = 404 if error.code in ("expired_url", "used_url") else 400
            return web.json_response({"ok": False, "error": error.code}, status=status)
        # Slack answers a response_url with the bare word.
        return web.Response(text="ok")
