"""Citations as numbered notes in the text, and the list of sources that explains them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from bot.models import Citation
from bot.slack.markdown.blocks import PREFIX, LineKind, Outline, outline
from bot.slack.markdown.breaks import Breaks
from bot.slack.markdown.markers import CITATION, strip_controls
from bot.slack.markdown.sanitize import destination

__all__ = ["HEADING", "Citation", "with_sources"]

HEADING = "**Sources**"

_LINK = re.compile(r"\(?\[[^\]\r\n]*\]\((?P<url>[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)\)\)?")
_MARK = re.compile(rf"【[^】\r\n]*】|(?:{CITATION})+", re.IGNORECASE)
_TRACKING = re.compile(r"(?<=[?&])utm_source=[^&#]*&?|#.*$|[?&](?=utm_source=[^&#]*(?:#|$))")
_MARKS = re.compile(rf"{PREFIX.pattern}(?:#{{1,6}}[ \t]+)?")
_WEB = re.compile(r"https?://\S", re.IGNORECASE)


def with_sources(text: str, citations: Sequence[Citation]) -> str:
    """The text with a note at each citation, `[1]`, linked if it has a URL, and a list of sources.

    Citations of one source share a number. Unsuitable offsets move to the nearest place where a
    note breaks nothing; in code there is none, so the source is only listed.
    """
    if not citations:
        return text
    found = outline(text)
    breaks = Breaks(found, room=len(text) + 1)
    sources: dict[str, Citation] = {}
    numbers: dict[str, int] = {}
    notes: dict[tuple[int, int], list[str]] = {}
    for citation in sorted(citations, key=lambda citation: (citation.start, citation.end)):
        key = _key(citation)
        sources.setdefault(key, citation)
        number = numbers.setdefault(key, len(sources))
        if place := _place(citation, found, breaks):
            note = _note(number, sources[key])
            if note not in notes.setdefault(place, []):
                notes[place].append(note)
    closing = breaks.at(len(text)).closing if text else ""
    return _annotated(text, notes).rstrip() + closing + _list(sources.values())


def _key(citation: Citation) -> str:
    if citation.url:
        return _TRACKING.sub("", citation.url).rstrip("/?&")
    return citation.file_id or citation.filename or citation.title


def _place(citation: Citation, found: Outline, breaks: Breaks) -> tuple[int, int] | None:
    """The range of text that the note replaces; empty if the note is inserted."""
    text = found.text
    start = max(0, min(citation.start, len(text)))
    end = max(start, min(citation.end, len(text)))
    mark = citation.text
    if mark and text[start:end] != mark and (at := text.find(mark)) >= 0:
        start, end = at, at + len(mark)
    cited = text[start:end]
    if not cited.startswith("sandbox:") and (cited == mark or _is_note(cited, citation)):
        return start, end
    return _gap(end, found, breaks)


def _is_note(cited: str, citation: Citation) -> bool:
    """Whether the text at the citation is only the model's own reference to the source."""
    link = _LINK.fullmatch(cited.strip())
    if link and citation.url:
        return _TRACKING.sub("", link["url"]).rstrip("/?&") == _key(citation)
    return bool(_MARK.fullmatch(cited))


def _gap(offset: int, found: Outline, breaks: Breaks) -> tuple[int, int] | None:
    """The nearest place for a note from this offset on: not in a link, code span or border."""
    text = found.text
    while offset and text[offset - 1].isspace():
        offset -= 1
    if not offset:
        return None
    while offset < len(text) and all(map(_is_spelled, text[offset - 1 : offset + 1])):
        offset += 1  # to the end of the word
    number = found.number(max(0, offset - 1))
    line = found.lines[number]
    if not _can_hold_notes(found, number) or offset <= _content(found, number):
        return None
    if atom := breaks.atom(number, offset):
        offset = atom.end
    in_table = line.kind in (LineKind.HEADER, LineKind.ROW)
    if in_table and not text[offset : line.end].strip(" |\r\n"):
        offset = line.start + len(text[line.start : offset].rstrip(" |"))
    return offset, offset


def _is_spelled(character: str) -> bool:
    """Whether a character is part of a word between spaces (Chinese and similar have none)."""
    return unicodedata.category(character) in ("Ll", "Lu", "Lt", "Nd")


def _can_hold_notes(found: Outline, number: int) -> bool:
    """Whether the line is text: not code, a rule or a table border."""
    line = found.lines[number]
    code = line.fence is not None or line.kind is LineKind.INDENTED
    return not code and bool(re.search(r"\w", found.text_of(number)))


def _content(found: Outline, number: int) -> int:
    """The offset of the line's text after its list markers, quote marks and hashes."""
    line = found.lines[number]
    marks = _MARKS.match(found.text, line.start, line.end)
    return marks.end() if marks else line.start


def _note(number: int, citation: Citation) -> str:
    if not _WEB.match(citation.url or ""):
        return f"[{number}]"
    url = destination(citation.url or "").replace("|", "%7C")  # it would end a cell of a table
    return f"[[{number}]]({url})"


def _annotated(text: str, notes: dict[tuple[int, int], list[str]]) -> str:
    out: list[str] = []  # from the end to the beginning
    reached = len(text)
    for start, end in sorted(notes, reverse=True):
        note = "".join(notes[start, end])
        stop = min(end, reached)
        begin = start if end <= reached else stop  # a range that is cited twice is replaced once
        follows = text[stop : min(stop + 1, reached)] or (out[-1][:1] if out else "")
        out.append(text[stop:reached])
        before = " " if text[begin - 1 : begin] in ("!", "\\") else ""
        after = " " if follows in ("(", ":") and note.endswith("]") else ""
        out.append(before + note + after)
        reached = begin
    return "".join(reversed([*out, text[:reached]]))


def _list(sources: Iterable[Citation]) -> str:
    lines = [f"{number}. {_source(source)}" for number, source in enumerate(sources, 1)]
    return "\n\n" + "\n".join([HEADING, "", *lines])


def _source(citation: Citation) -> str:
    url = citation.url or ""
    given = citation.filename or citation.title or url or citation.file_id or ""
    name = " ".join(strip_controls(given).split())
    if not _WEB.match(url):
        return name
    label = re.sub(r"([\[\]])", r"\\\1", name)
    return f"[{label}]({destination(url)})"
