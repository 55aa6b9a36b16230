"""Citation markers and control characters that models and servers leave in a text.

A citation marker refers to a search result that only the server has. Its forms: private-use
characters around `cite` and a reference, `:contentReference[…]{…}`, 【4:0†source】, `[cite: 1]`.
"""

import json
import re

from bot.models import well_formed
from bot.slack.markdown.skipping import occurs

_TURN = r"turn\d{1,4}[a-z]{2,12}\d{1,4}"
_TURNS = rf"(?:cite:?\s?)?{_TURN}(?:[,;\s]{{1,3}}{_TURN}){{0,20}}"
_STORES = (
    "(?:web|attached_file|memory|conversation_history|generated_image|search_result|page|post|file"
    "|doc|source)"
)
CITATION = (
    "\ue200[^\ue200\ue201\r\n]{0,2000}\ue201|[\ue200-\ue206]"
    r"|:{1,2}contentReference\[[^\[\]\r\n]{0,80}\](?:\{[^{}\r\n]{0,80}\})?"
    r"|(?<![\w:]):{1,2}(?:cite|citation)(?:\[[^\[\]\r\n]{0,80}\]|\{[^{}\r\n]{0,80}\})"
    r"|\{\{(?:cite|citation)[:|][^{}\r\n]{1,80}\}\}"
    r"|【(?:[^【】\r\n]{0,40}†[^【】\r\n]{0,200}|\d+:\d+|(?:oaicite|citation|cite|source|turn\d)"
    r"[^【】\r\n]{0,80})】"
    r"|〖\d{1,3}(?::\d{1,3})?†[^〖〗\r\n]{0,200}〗|⟦(?:cite|citation|source)[^⟦⟧\r\n]{0,80}⟧"
    r"|\[\d{1,3}(?::\d{1,3})?†[^\[\]\r\n]{1,200}\](?!\()"
    r"|\[(?:oaicite|citation|cite)(?:_start|_end|[:_]\s?[^\[\]\r\n]{0,60})\](?!\()"
    rf"|(?<!\w)\[{_STORES}:\s?\d{{1,3}}(?:[-,]\s?(?:{_STORES}:)?\d{{1,3}}){{0,9}}\](?![(:])"
    r"|(?<!\w)\[doc\d{1,3}\](?![(:])"
    rf"|\[{_TURNS}\](?!\()|\({_TURNS}\)"
    rf"|(?<!\w)(?:(?:file)?cite(?:{_TURN})+)+"
    r"|(?<=\[)oai_citation[:_]\d{1,3}‡"
    r"|</?(?:antml:)?(?:cite|citation)(?:\s[^<>\r\n]{0,200})?/?>|</?grok:render[^<>\r\n]{0,300}>"
    r'|<argument\s+name="citation_id">\d*</argument>'
    r"|</?co(?::\s?[\d,\s]{1,40})?>"
    r"|<(?:source|ref|doc)>\s?\[?\d{1,3}\]?\s?</(?:source|ref|doc)>"
)
"""A regular expression for one marker, for `re.VERBOSE` off and `re.IGNORECASE` on."""
_CANDIDATE = re.compile(
    r"(?=[\ue200-\ue206【〖⟦†‡cogt]|\[[a-z]|<[/c])(?:[\ue200-\ue206【〖⟦†‡]|contentRef|oaicite"
    rf"|cite|citation|grok:|{_TURN}|\[doc\d|</?co[:>]|\[{_STORES}:|</(?:source|ref|doc)>)",
    re.IGNORECASE,
)
NO_SPACE_BEFORE = r"(?:\*{0,3}|~~|__?)(?:[ \t\r\n.,;:!?)\]、。，；：！？]|\Z)"
"""Before this, no space is left in place of markers: **text 【4:0†source】** stays bold."""
_SPACED = re.compile(rf"(?<![ \t])[ \t]++(?=(?:{CITATION})+{NO_SPACE_BEFORE})", re.IGNORECASE)
_UNFINISHED = re.compile(
    "(?:\ue200[^\ue200\ue201\r\n]{0,2000}|[【〖⟦][^【】〖〗⟦⟧\r\n]{0,240}"
    "|\\[[a-z\\d_]{0,24}(?:[:†‡\\s][^\\[\\]\\r\\n]{0,200})?|\\[[^\\[\\]\\r\\n]{1,80}\\]"
    "|\\((?:c(?:i(?:te?)?)?|cite:?\\s?|(?:cite:?\\s?)?t(?:u(?:r(?:n[^()\\r\\n]{0,400})?)?)?)?"
    "|::?c?(?:[io][a-z]{0,15}(?:[\\[{][^\\[\\]{}\\r\\n]{0,80}(?:\\](?:\\{[^{}\\r\\n]{0,80})?)?)?)?"
    "|\\{\\{?(?:c[a-z]{0,8}(?:[:|][^{}\\r\\n]{0,80}\\}?)?)?"
    "|</?(?:[ag][a-z:]{0,12}|c[a-z]{0,8}:?|[sdr][a-z]{0,5})(?:\\s[^<>\\r\\n]{0,300})?"
    "|<(?:source|ref|doc)>[\\s\\[\\]\\d]{0,8}(?:</?[a-z]{0,6})?"
    "|\x1b(?:\\[[0-?]*[ -/]*|\\][^\x07\x1b]{0,200}\x1b?)?)\\Z",
    re.IGNORECASE,
)
_CONTROLS = re.compile(
    "(?=[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff])"
    "(?:(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # ANSI: colours, the cursor
    "|\x1b\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)"  # links and titles of terminals
    "|\x1b[ -/]*[0-~]?"
    "|[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff])"
)
_OPEN_SEQUENCE = re.compile("[\x1b\x9b](?:\\[?[0-?]*[ -/]*|\\][^\x07\x1b]{0,4096}\x1b?)\\Z")
"""A terminal sequence that may be incomplete."""
_LONGEST_SEQUENCE = 4_200
_SEPARATORS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def with_line_breaks(text: str) -> str:
    """The text with line breaks for Unicode line separators, at the same offsets."""
    return _SEPARATORS.sub("\n", text)


def strip_controls(text: str) -> str:
    """The text without control characters, terminal sequences and bidi overrides.

    Unicode line separators become line breaks; a lone surrogate, which cannot be sent, becomes
    U+FFFD.
    """
    text = _CONTROLS.sub("", with_line_breaks(text))
    return well_formed(text) if _SURROGATE.search(text) else text


def strip_controls_so_far(text: str) -> str:
    """Like `strip_controls`, for a growing text: omits the beginning of a terminal sequence."""
    begin = max(0, len(text) - _LONGEST_SEQUENCE)
    if text.find("\x1b", begin) < 0 and text.find("\x9b", begin) < 0:
        return strip_controls(text)
    tail = _OPEN_SEQUENCE.search(text, begin)
    return strip_controls(text[: tail.start()] if tail else text)


def has_citations(text: str) -> bool:
    """Whether there may be citation markers in a text."""
    return occurs(_CANDIDATE, text)


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
