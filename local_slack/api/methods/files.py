"""files.getUploadURLExternal, completeUploadExternal, info."""

from local_slack.api.methods.call import Call, Method
from local_slack.api.methods.chat import MessageContent, new_message
from local_slack.workspace import files
from local_slack.workspace.agents import clear_status
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, File, Json
from local_slack.workspace.shapes import file_json

MAX_ALT_TEXT = 1_000
MAX_CHANNELS = 100


def get_upload_url(call: Call) -> Json:
    name, length = call.args.get("filename"), call.args.integer("length", 0)
    if not name or length <= 0:
        raise SlackError("missing_argument")
    alt_text = call.args.get("alt_txt") or ""
    if len(alt_text) > MAX_ALT_TEXT:
        raise SlackError("alt_txt_too_large")
    file = files.expect(call.workspace, call.bot_id, name, length, alt_text)
    url = f"{call.base_url}/upload/v1/{file.upload_ticket}"
    return {"upload_url": url, "file_id": file.id}


def complete_upload(call: Call) -> Json:
    wanted = call.args.objects("files", "invalid_arguments")
    if not wanted:
        raise SlackError("invalid_arguments")
    uploaded = [_uploaded(call, item) for item in wanted]
    channels = _channels(call)
    thread_ts = call.args.get("thread_ts")
    if thread_ts and len(channels) != 1:
        raise SlackError("invalid_arguments")
    for file, item in zip(uploaded, wanted, strict=True):
        file.complete, file.upload_ticket = True, None
        file.title = str(item.get("title") or file.name)
    for channel in channels:
        content = MessageContent(call.args.get("initial_comment") or "", [], [])
        message = new_message(call, channel, content)
        message.file_ids = [file.id for file in uploaded]
        # Slack reports a bot's own upload as file_share, too.
        message.subtype = "file_share"
        call.workspace.put(message)
        clear_status(call.workspace, channel.id, message.thread_ts)
    return {"files": [file_json(call.workspace, file) for file in uploaded]}


def _uploaded(call: Call, item: Json) -> File:
    file = call.workspace.files.get(str(item.get("id")))
    if file is None or not file.content or file.complete:
        raise SlackError("file_not_found")
    return file


def _channels(call: Call) -> list[Channel]:
    names = call.args.get("channels") or call.args.get("channel_id") or ""
    ids = [name for name in names.split(",") if name]
    if len(ids) > MAX_CHANNELS:
        raise SlackError("channels_limit_exceeded")
    channels = []
    for channel_id in ids:
        channel = call.workspace.channels.get(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        if call.bot_id not in channel.members:
            raise SlackError("not_in_channel")
        channels.append(channel)
    return channels


def info(call: Call) -> Json:
    file = call.workspace.files.get(call.args.require("file"))
    if file is None or not file.complete:
        raise SlackError("file_not_found")
    return {"file": file_json(call.workspace, file), "comments": []}


METHODS = {
    "files.getUploadURLExternal": Method(get_upload_url, 4, ("files:write",)),
    "files.completeUploadExternal": Method(complete_upload, 4, ("files:write",)),
    "files.info": Method(info, 4, ("files:read",)),
}
