"""Shows foreign text exactly, for approvals. Pure.

Characters without a glyph, bidi controls and look-alike characters can make a text appear different
from its content.
"""

import re
import unicodedata

INVISIBLE = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)
"""Fillers, joiners and variation selectors, which Unicode counts as letters or marks."""
MOST_MARKS = 3
"""Maximum combining marks on one character; more would cover adjacent lines."""
_MENTION = re.compile(r"<(?=[!@#])")
_WORD = re.compile(r"\w+")
_LATIN_LOOKALIKES = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_SAME_SHAPE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s", "-": "_", ".": "_"})


def visible(text: str, *, keep: str = "\n") -> str:
    """The text with every character that people cannot see as its `\\uXXXX` escape.

    The escapes are those of JSON, so that JSON stays JSON. Characters in `keep` stay. Mentions in
    Slack's wire format are escaped, too.
    """
    shown, marks = [], 0
    for char in _MENTION.sub(lambda _: _escaped("<"), text):
        is_mark = unicodedata.category(char)[0] == "M"
        marks = marks + 1 if is_mark else 0
        hidden = char not in keep and (_is_hidden(char) or marks > MOST_MARKS)
        shown.append(_escaped(char) if hidden else char)
    return "".join(shown)


def _is_hidden(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "C" or (category[0] == "Z" and char != " ") or ord(char) in INVISIBLE


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def mixed_words(text: str, most: int = 5) -> list[str]:
    """Words that mix Latin letters with letters of another script that look like them."""
    found: dict[str, None] = {}
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        scripts = {unicodedata.name(char, "").partition(" ")[0] for char in word}
        if "LATIN" in scripts and scripts & set(_LATIN_LOOKALIKES):
            found[word[:40]] = None
            if len(found) == most:
                break
    return list(found)


def skeleton(name: str) -> str:
    """The skeleton of a name: names with the same skeleton are easily confused."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    seen = "".join(_ascii_twin(char) for char in plain if unicodedata.category(char)[0] not in "CM")
    return seen.translate(_SAME_SHAPE).replace("rn", "m").replace("vv", "w")


def _ascii_twin(char: str) -> str:
    """The Latin letter that a Cyrillic or Greek letter looks like."""
    return _TWINS.get(char, char)


_TWINS = dict(
    zip("аеорсухіјѕһԁԛԝкмтвнгɡαονρτικυωѵ", "aeopcyxijshdqwkmtbhrgaovptikuwv", strict=True)
)
