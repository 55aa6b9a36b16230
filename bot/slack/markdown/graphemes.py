"""The length of a text for Slack, and offsets at which no character is cut."""

import re
import unicodedata

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_ENTITY = re.compile(r"&#?\w{1,31};")
_JOINER = "\u200d"
_REACH = 64  # no real character is longer


def size(text: str) -> int:
    """The length in UTF-16 code units: at least the number of characters, whichever Slack
    counts."""
    return len(text) if text.isascii() else len(text) + len(_ASTRAL.findall(text))


def within(text: str, start: int, end: int, room: int) -> int:
    """The largest offset up to which `text[start:]`, at most to `end`, fits this size."""
    reached = min(end, start + max(0, room))
    while (over := size(text[start:reached]) - room) > 0 and reached > start:
        reached -= max(1, over // 2)
    return reached


def grapheme_break(text: str, start: int, end: int) -> int:
    """The last offset in (start, end] that cuts no character, entity or escape; `end` if none."""
    for offset in range(end, max(start, end - _REACH), -1):
        if _can_break(text, start, offset):
            return offset
    return end


def _can_break(text: str, start: int, offset: int) -> bool:
    if not 0 < offset < len(text):
        return True
    before, after = text[offset - 1], text[offset]
    if before == "\\" or before + after in ("\r\n", "``"):
        return False
    if _extends(after) or before == _JOINER or unicodedata.combining(before) == 9:
        return False
    if _is_flag(before) and _is_flag(after):
        return _flags_before(text, start, offset) % 2 == 0
    return not _in_entity(text, offset)


def _extends(character: str) -> bool:
    """Whether a character belongs to the previous one: marks, Hangul vowels, skin tones, tags,
    joiners."""
    return (
        unicodedata.category(character) in ("Mn", "Me", "Mc")
        or character in (_JOINER, "\u200c")
        or "\u1160" <= character <= "\u11ff"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, start: int, offset: int) -> int:
    """The length of the run of flags before the offset; none begins before `start`."""
    first = offset
    while first > start and _is_flag(text[first - 1]):
        first -= 1
    return offset - first


def _in_entity(text: str, offset: int) -> bool:
    ampersand = text.rfind("&", max(0, offset - 33), offset)
    entity = _ENTITY.match(text, ampersand) if ampersand >= 0 else None
    return bool(entity and entity.end() > offset)
