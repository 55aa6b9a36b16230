"""Estimates tokens from the length of texts, for servers that report none."""

from collections.abc import Iterable

from bot.media import Attachment

BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 per token: about right for European languages and for Chinese."""
IMAGE_TOKENS = 1_000
FILE_BYTES_PER_TOKEN = 64
"""Bytes per token of documents and audio, which are mostly layout."""


def text_tokens(*texts: str) -> int:
    """Approximate tokens of the texts."""
    return sum(-(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN) for text in texts)


def file_tokens(files: Iterable[Attachment]) -> int:
    """Approximate tokens of the files."""
    return sum(_tokens_of(file) for file in files)


def _tokens_of(file: Attachment) -> int:
    if file.kind == "image":
        return IMAGE_TOKENS
    per_token = BYTES_PER_TOKEN if file.kind == "text" else FILE_BYTES_PER_TOKEN
    return len(file.data) // per_token
