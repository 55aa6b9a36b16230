"""The kinds of files that a model can read. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

FileKind = Literal["image", "document", "audio", "text", ""]
"""`text` is put into the message itself; "": no kind that a model can read."""

INLINE_BYTES = 60_000
"""Text files above this size are sent as documents."""

IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
AUDIO = {
    **dict.fromkeys(("audio/mpeg", "audio/mp3"), "mp3"),
    **dict.fromkeys(("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"), "wav"),
}
"""The formats that `input_audio` accepts. Slack's voice messages are MP4, which it does not."""
DOCUMENTS = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".doc": "application/msword",
    ".ppt": "application/vnd.ms-powerpoint",
    ".xls": "application/vnd.ms-excel",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".rtf": "application/rtf",
}
_TEXTS = """
json xml yaml x-yaml toml javascript x-javascript typescript sql x-sh x-httpd-php x-python x-ndjson
"""
TEXTS = frozenset(f"application/{name}" for name in _TEXTS.split())
_CODE = """
c cc cfg clj conf cpp cs css csv dart diff env ex go graphql h hcl hpp hs htm html ini ipynb java
js json jsonl jsx kt less log lua md ml mjs patch php pl properties proto ps1 py r rb rs rst scala
scss sh sql svelte svg swift tex tf toml ts tsv tsx txt vue xml yaml yml zig
"""
UNDECLARED = frozenset({"", "application/octet-stream", "binary/octet-stream", "message/rfc822"})
"""Types that say nothing about the content: a small file of such a type may be text, for example a
`Dockerfile`."""
CODE = frozenset(f".{ending}" for ending in _CODE.split())


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message with its bytes. It never goes into Redis."""

    name: str
    mimetype: str
    kind: FileKind
    data: bytes
    doubt: str = ""
    """A note for people if the file may have been misread."""

    @property
    def text(self) -> str:
        """The content of a text file, which is UTF-8."""
        return self.data.decode("utf-8-sig", errors="replace")


def file_kind(name: str, mimetype: str, size: int) -> FileKind:
    """The kind of a file, from Slack's metadata."""
    ending = PurePath(name.lower()).suffix
    if mimetype in IMAGES:
        return "image"
    if mimetype in AUDIO:
        return "audio"
    if ending in DOCUMENTS or mimetype in DOCUMENTS.values():
        return "document"
    if mimetype.startswith("text/") or mimetype in TEXTS or ending in CODE:
        return "text" if size <= INLINE_BYTES else "document"
    return "text" if mimetype in UNDECLARED and size <= INLINE_BYTES else ""


def inlined(attachment: Attachment) -> str:
    """A text file as part of a message."""
    return f'<file name="{attachment.name}">\n{attachment.text}\n</file>'


KEPT_CHARS = 20_000
"""The characters that our record keeps of one message's text files."""


def kept_text(attachments: Iterable[Attachment]) -> str:
    """The text that our record keeps of files: the content of text files, the names of others."""
    kept, room = [], KEPT_CHARS
    for attachment in attachments:
        text = inlined(attachment) if attachment.kind == "text" else ""
        if text and len(text) <= room:
            kept.append(text)
            room -= len(text)
        else:
            kind = attachment.kind if attachment.kind in ("image", "audio") else "file"
            kept.append(f"[{kind} {attachment.name}, no longer available]")
    return "\n".join(kept)
