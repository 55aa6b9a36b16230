"""Links to messages and canvases in Slack. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_TS = re.compile(r"\d{10}\.\d{6}")
_MESSAGE = re.compile(r"/archives/([CDG][A-Z0-9]+)/p(\d{10})(\d{6})/?")
_FILE = re.compile(r"/(?:docs|canvas|files)/(?:[A-Z0-9]+/)?(F[A-Z0-9]+)(?:/[^/]*)?/?")
HOST = ".slack.com"


@dataclass(frozen=True, slots=True)
class MessageLink:
    """A message; `thread_ts` is the root of its thread, or the message itself."""

    channel_id: str
    ts: str
    thread_ts: str


def parse_message_link(url: str) -> MessageLink | None:
    """The message behind a link such as `https://x.slack.com/archives/C1/p1700000000123456`."""
    found = _MESSAGE.fullmatch(_path_of(url))
    if not found:
        return None
    channel_id, seconds, fraction = found.groups()
    ts = f"{seconds}.{fraction}"
    root = parse_qs(urlsplit(url.strip()).query).get("thread_ts", [ts])[0]
    return MessageLink(channel_id, ts, root if _TS.fullmatch(root) else ts)


def parse_file_link(url: str) -> str:
    """The id of the file or canvas behind a link, or ""."""
    found = _FILE.fullmatch(_path_of(url))
    return found[1] if found else ""


def _path_of(url: str) -> str:
    """The path of an address at Slack, or ""."""
    try:
        parts = urlsplit(url.strip())
        is_slack = parts.scheme == "https" and (parts.hostname or "").endswith(HOST)
    except ValueError:
        return ""
    return parts.path if is_slack else ""
