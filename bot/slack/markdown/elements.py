"""HTML that extends over several lines, in a form that `tags` and Slack can read.

Tables, lists and code become Markdown, comments are removed, and an element within a paragraph is
joined in one line. Code is unchanged.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.slack.markdown.blocks import PREFIX
from bot.slack.markdown.html_blocks import KEPT
from bot.slack.markdown.html_element import CODES, CONVERTED, LINES, TITLES, Tag, rewritten_element
from bot.slack.markdown.skipping import CODE, FENCE_START, CodeEnds

_CONTAINERS = frozenset(
    {"p", "div", "section", "article", "center", "details", "figure", "header", "footer", "main"}
    | {"nav", "aside", "blockquote", "address"}
)
_LONGEST = {
    **dict.fromkeys(KEPT - {"img"}, 1_000),
    **dict.fromkeys(TITLES, 2_000),
    **dict.fromkeys(_CONTAINERS, 4_000),
    **dict.fromkeys(CONVERTED, 12_000),
}
"""The elements, and how many characters each may extend over. A longer one is text."""
_LONGEST_COMMENT = 4_000
_ATTRIBUTES = r"""(?:\s(?:[^<>"']|"[^"<]*+"|'[^'<]*+'|["'])*+)?"""
_NAMES = "|".join(sorted({*_LONGEST, "img", "br", "hr"}, key=len, reverse=True))
_TOKEN = re.compile(
    rf"(?=[`<]|{FENCE_START})"
    rf"(?:{CODE}|(?P<COMMENT><!--)|(?P<TAG><(?P<end>/?)(?P<name>{_NAMES}){_ATTRIBUTES}>))",
    re.IGNORECASE | re.MULTILINE,
)
_CANDIDATE = re.compile(rf"<(?:!--|/?(?:{_NAMES})[\s/>])", re.IGNORECASE)
_CUT_TAG = re.compile(
    rf"""(?!.{{500}})</?(?:{_NAMES})\s(?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+(?:["'][^<]*)?\Z""",
    re.IGNORECASE | re.DOTALL,
)
_BLANK_LINE = re.compile(r"\n[ \t]*+\r?\n")
_END_OF_LINE = re.compile(r"[ \t]*+(?:\r?\n|\Z)")
_INDENTED = re.compile(r"[ \t]*+\r?\n(?P<indent>(?: {4}|\t)[ \t]*+)(?=[<\w])")
_CODE = re.compile(r" {4}|\t")
_ENDS = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in CODES}


@dataclass(frozen=True, slots=True)
class _Edit:
    """A range and what replaces it: a text, or the element between two tags in another form."""

    start: int
    end: int
    text: str = ""
    element: tuple[Tag, Tag] | None = None


def flatten(text: str, *, whole: bool = True) -> str:
    """The text with HTML over several lines rewritten.

    With `whole=False` the text is still growing: an element that is not closed yet is left out,
    with all that follows it, if its end decides about its beginning.
    """
    if not _CANDIDATE.search(text):
        return text
    reader = _Reader(text)
    reader.read()
    return "".join(made for made, _ in reader.rewritten(len(text) if whole else reader.held()))


@dataclass(frozen=True, slots=True)
class GrowingText:
    """The beginning of a text, rewritten as by `flatten`.

    Before `settled` no element is open. `kept` lists the unchanged parts: the start of each here
    and in the source, and its length. `elements` are those in the source whose tags are left out.
    """

    text: str
    settled: int
    kept: tuple[tuple[int, int, int], ...]
    elements: tuple[tuple[int, int], ...] = ()

    def source(self, offset: int) -> int:
        """The offset in the source; -1 within a part that was rewritten."""
        for begin, source, length in reversed(self.kept):
            if begin <= offset:
                return source + offset - begin if offset <= begin + length else -1
        return -1

    def around(self, offset: int) -> int | None:
        """The beginning of the outermost element around an offset of the text; None if it is
        outside of all."""
        at = self.source(offset)
        begin = min((start for start, end in self.elements if start < at < end), default=None)
        return None if begin is None else _place(self.kept, begin)


def _place(kept: Sequence[tuple[int, int, int]], source: int) -> int:
    """The offset in the rewritten text, from one in the source."""
    return max((begin + min(length, source - at) for begin, at, length in kept if at <= source))


def flatten_so_far(text: str) -> GrowingText:
    """Like `flatten`, for the beginning of a text."""
    if not _CANDIDATE.search(text):
        return GrowingText(text, len(text), ((0, 0, len(text)),))
    reader = _Reader(text)
    reader.read()
    out, kept, length = list[str](), list[tuple[int, int, int]](), 0
    for made, source in reader.rewritten(reader.held()):
        if source is not None:
            kept.append((length, source, len(made)))
        out.append(made)
        length += len(made)
    settled = _place(kept, reader.settled())
    return GrowingText("".join(out), settled, tuple(kept), tuple(reader.dropped))


class _Reader:
    """One pass over a text. Linear: it remembers where the current line and paragraph begin."""

    def __init__(self, text: str) -> None:
        self.edits: list[_Edit] = []
        """Of those that overlap, the longest is valid."""
        self.dropped: list[tuple[int, int]] = []
        """The elements whose tags are left out."""
        self._text = text
        self._code = CodeEnds(text)
        self._open: dict[str, list[Tag]] = {}
        self._unclosed: list[int] = []  # where comments without an end begin
        self._no_end = dict.fromkeys(("-->", *CODES), 0)  # how far there is none
        self._read_to = 0
        self._line = 0
        self._paragraph = 0
        # The end of the tags with which the current line begins; -1 after text.
        self._tags_to = prefix.end() if (prefix := PREFIX.match(text)) else 0
        self._is_code = bool(_CODE.match(text))  # by the indentation of the current line

    def read(self) -> None:
        """Find the edits."""
        for token in self.tokens():
            if token["COMMENT"] is not None:
                self._read_comment(token)
            else:
                self._read_tag(token)

    def tokens(self) -> Iterator[re.Match[str]]:
        """The tags and comments outside code. The content of `<pre>` is not searched."""
        position = 0
        while token := _TOKEN.search(self._text, position):
            self._advance(token.start())
            position = token.end()
            if token["FENCE"] is not None or token["TICKS"] is not None:
                position = self._code.after(token)
            elif not self._is_code:
                yield token
                position = self._end_of_content(token)

    def held(self) -> int:
        """The end of the part of a growing text that a later closing tag cannot change."""
        text, ends = self._text, [len(self._text)]
        self._advance(len(text))
        cut = text.rfind("<")
        if cut >= 0 and _CUT_TAG.match(text, cut):
            ends.append(cut)
        ends += [at for at in self._unclosed if len(text) - at < _LONGEST_COMMENT]
        ends += [tag.start for tags in self._open.values() for tag in tags if self._is_open(tag)]
        return min(ends)

    def settled(self) -> int:
        """The offset before which a later tag cannot close anything."""
        length, starts = len(self._text), [self.held()]
        opened = (tag for tags in self._open.values() for tag in tags)
        starts += [tag.start for tag in opened if length - tag.start <= _LONGEST[tag.name]]
        return min(starts)

    def rewritten(self, end: int) -> Iterator[tuple[str, int | None]]:
        """The parts of the text up to `end`, each with its offset if it is unchanged."""
        reached = 0
        for edit in sorted(self.edits, key=lambda edit: (edit.start, -edit.end)):
            if reached <= edit.start and edit.end <= end:
                yield self._text[reached : edit.start], reached
                yield (
                    rewritten_element(self._text, *edit.element) if edit.element else edit.text,
                    None,
                )
                reached = edit.end
        yield self._text[reached:end], reached

    def _advance(self, offset: int) -> None:
        """Count lines and paragraphs up to an offset."""
        text, begin = self._text, self._read_to
        self._read_to = offset
        newline = text.rfind("\n", begin, offset)
        if newline < 0:
            return
        self._line += text.count("\n", begin, offset)
        # A blank line may begin with the line break before `begin`.
        self._paragraph += len(_BLANK_LINE.findall(text, max(0, begin - 1), offset))
        self._tags_to = newline + 1
        above = text.rfind("\n", begin, newline) + 1 or begin
        is_indented = bool(_CODE.match(text, newline + 1))
        self._is_code = is_indented and not text[above:newline].strip()
        if prefix := PREFIX.match(text, newline + 1, offset):
            self._tags_to = prefix.end()

    def _is_open(self, tag: Tag) -> bool:
        """Whether the closing tag, if it comes, changes what is shown from the tag on."""
        if len(self._text) - tag.start > _LONGEST[tag.name]:
            return False
        if tag.name in CONVERTED or self._is_block_of_code(tag):
            return tag.begins
        if self._is_container(tag):
            return False
        return tag.paragraph == self._paragraph

    def _read_tag(self, token: re.Match[str]) -> None:
        start, end = token.span()
        begins = self._tags_to >= 0 and not self._text[self._tags_to : start].strip(" \t")
        self._tags_to = end if begins else -1
        tag = Tag(start, end, token["name"].lower(), self._line, self._paragraph, begins)
        if "\n" in token[0]:
            self.edits.append(_Edit(start, end, LINES.sub(" ", token[0])))
        if tag.name not in _LONGEST or token[0].endswith("/>"):
            return
        if tag.name not in KEPT and begins and (indented := _INDENTED.match(self._text, end)):
            # The line of tags is dropped, and the indentation would make the next one code.
            self.edits.append(_Edit(*indented.span("indent")))
        if not token["end"]:
            self._open.setdefault(tag.name, []).append(tag)
        elif openers := self._open.get(tag.name):
            self._pair(openers.pop(), tag)

    def _read_comment(self, token: re.Match[str]) -> None:
        end = self._end_of_content(token)
        if end == token.end():
            self._unclosed.append(token.start())
        elif "\n" in self._text[token.start() : end]:
            self.edits.append(_Edit(token.start(), end + len("-->")))

    def _end_of_content(self, token: re.Match[str]) -> int:
        """The end of a comment, or of the content of code; else the end of its first tag."""
        if token["COMMENT"] is not None:
            kind, longest = "-->", _LONGEST_COMMENT
        elif not token["end"] and token["name"].lower() in CODES:
            kind, longest = token["name"].lower(), _LONGEST["pre"]
        else:
            return token.end()
        start, limit = max(token.end(), self._no_end[kind]), token.end() + longest
        if kind == "-->":
            found = self._text.find(kind, start, limit)
        else:
            match = _ENDS[kind].search(self._text, start, limit)
            found = match.start() if match else -1
        if found < 0:
            self._no_end[kind] = max(start, limit - len("</code"))
            return token.end()
        return found

    def _pair(self, opener: Tag, closer: Tag) -> None:
        if closer.end - opener.start > _LONGEST[opener.name] or closer.line == opener.line:
            return
        is_paragraph = closer.paragraph == opener.paragraph
        if opener.name in CONVERTED or self._is_block_of_code(opener):
            if opener.begins:
                self._replace(opener, closer)
        elif opener.name not in _CONTAINERS:
            if is_paragraph:
                self._replace(opener, closer)
        elif is_paragraph or self._is_container(opener):
            self._drop(opener, closer)

    def _is_container(self, tag: Tag) -> bool:
        """Whether a tag has its line to itself: it is dropped, closed or not."""
        is_last = _END_OF_LINE.match(self._text, tag.end)
        return tag.name in _CONTAINERS and tag.begins and bool(is_last)

    def _is_block_of_code(self, tag: Tag) -> bool:
        return tag.name == "code" and tag.begins and bool(_END_OF_LINE.match(self._text, tag.end))

    def _drop(self, opener: Tag, closer: Tag) -> None:
        """Remove the tags of an element; its content begins and ends lines of its own."""
        follows = not _END_OF_LINE.match(self._text, closer.end)
        self.dropped.append((opener.start, closer.end))
        self.edits.append(_Edit(opener.start, opener.end, "" if opener.begins else "\n"))
        self.edits.append(_Edit(closer.start, closer.end, "\n" if follows else ""))

    def _replace(self, opener: Tag, closer: Tag) -> None:
        """Replace a whole element; it ends those that are still open inside it."""
        self.edits.append(_Edit(opener.start, closer.end, element=(opener, closer)))
        for tags in self._open.values():
            while tags and tags[-1].start > opener.start:
                tags.pop()
