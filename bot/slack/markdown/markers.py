"""Citation markers and control characters that models and servers leave in a text.

A citation marker refers to a search result that only the server has. Its forms: private-use
characters around `cite` and a reference, `:contentReference[…]{…}`, 【4:0†source】, `[cite: 1]`.
"""

import json
import re

CITATION = (
    "\ue200[^\ue200\ue201\r\n]{0,2000}\ue201|[\ue200-\ue206]"
    r"|:{1,2}contentReference\[[^\[\]\r\n]{0,80}\](?:\{[^{}\r\n]{0,80}\})?"
    r"|【(?:[^【】\r\n]{0,40}†[^【】\r\n]{0,200}|\d+:\d+|(?:oaicite|citation|cite|source|turn\d)"
    r"[^【】\r\n]{0,80})】"
    r"|\[(?:oaicite|citation|cite)(?:_start|_end|[:_]\s?[^\[\]\r\n]{0,60})\](?!\()"
    r"|(?<!\w)(?:(?:file)?cite(?:turn\d{1,4}[a-z]{2,12}\d{1,4})+)+"
    r"|</?(?:antml:)?cite(?:\s[^<>\r\n]{0,200})?>|</?grok:render[^<>\r\n]{0,300}>"
    r'|<argument\s+name="citation_id">\d*</argument>'
)
"""A regular expression for one marker, for `re.VERBOSE` off and `re.IGNORECASE` on."""
_CANDIDATE = re.compile("[\ue200-\ue206【]|contentRef|oaicite|cite|citation|grok:", re.IGNORECASE)
_SPACED = re.compile(
    rf"(?<![ \t])[ \t]++(?=(?:{CITATION})+(?:[ \t\r\n.,;:!?)\]、。，；：！？]|\Z))", re.IGNORECASE
)
_UNFINISHED = re.compile(
    "(?:\ue200[^\ue200\ue201\r\n]{0,2000}|【[^【】\r\n]{0,240}|\\[c?(?:i[^\\[\\]\\r\\n]{0,70})?"
    "|::?c?(?:o[a-z]{0,15}(?:\\[[^\\[\\]\\r\\n]{0,80}(?:\\](?:\\{[^{}\\r\\n]{0,80})?)?)?)?"
    "|</?(?:[ag][a-z:]{0,12}|c[a-z]{0,3})(?:\\s[^<>\\r\\n]{0,300})?"
    "|\x1b(?:\\[[0-?]*[ -/]*|\\][^\x07\x1b]{0,200}\x1b?)?)\\Z",
    re.IGNORECASE,
)
_CONTROLS = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # ANSI: colours, the cursor
    "|\x1b\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)"  # links and titles of terminals
    "|\x1b[ -/]*[0-~]?"
    "|[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ufffe\uffff]"
)
_SEPARATORS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def strip_controls(text: str) -> str:
    """The text without control characters, terminal sequences and bidi overrides.

    Unicode line separators become line breaks; a lone surrogate, which cannot be sent, becomes
    U+FFFD.
    """
    return _SURROGATE.sub("\ufffd", _CONTROLS.sub("", _SEPARATORS.sub("\n", text)))


def has_citations(text: str) -> bool:
    """Whether there may be citation markers in a text."""
    return bool(_CANDIDATE.search(text))


def before_unfinished(text: str) -> str:
    """A growing text without a possible beginning of a marker at its end."""
    tail = _UNFINISHED.search(text, max(0, len(text) - 2100))
    return text[: tail.start()].rstrip(" \t") if tail else text


def blanks_before(text: str) -> list[tuple[int, int]]:
    """The spaces before punctuation that would be left over when markers are removed."""
    return [found.span() for found in _SPACED.finditer(text)]


def shown(marker: str) -> str:
    """The text of a marker for people: the name of an entity, the text of a link, or "".

    `marker` is what CITATION matches.
    """
    kind, _, body = marker.strip("\ue200\ue201").partition("\ue202")
    if kind == "entity":
        return _entity(body)
    label, _, _ = body.partition("\ue202")
    return label if kind in ("url", "link_title") else ""


def _entity(body: str) -> str:
    try:
        values = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(values, list) or len(values) < 2 or not isinstance(values[1], str):
        return ""
    return values[1]
