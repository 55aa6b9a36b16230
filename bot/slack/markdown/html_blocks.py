"""Tables, lists and code of HTML as Markdown. Pure."""

import html
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

KEPT = frozenset(
    {"a", "b", "strong", "i", "em", "var", "dfn", "s", "del", "strike", "code", "kbd", "samp", "tt"}
    | {"u", "span", "font", "small", "big", "mark", "abbr", "ins", "sup", "sub", "q", "cite", "img"}
)
"""Elements within a line, which are replaced later."""
_LAYOUT = frozenset(
    {"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "colgroup", "col"}
    | {"ul", "ol", "menu", "li", "dl", "dt", "dd", "input", "label", "form", "button", "time"}
    | {"p", "div", "section", "article", "center", "details", "summary", "figure", "figcaption"}
    | {"header", "footer", "main", "nav", "aside", "blockquote", "address", "pre", "br", "hr"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "wbr", "nobr", "bdi", "bdo", "ruby", "rb", "rt", "rp"}
    | {"picture", "source", "svg", "path", "style", "script", "html", "head", "body"}
)
"""Elements that are dropped. Others are no HTML, such as that in `List<String>`, but text."""
MOST_INDENTED = 24
"""Spaces before an item; deeper ones begin there, too."""
_CODE = re.compile(r"\s*<code\b([^<>]*)>(.*)</code\s*>\s*\Z", re.IGNORECASE | re.DOTALL)
_LANGUAGE = re.compile(r"""(?:language|lang|highlight-source)-([\w+#.-]{1,30})""")
_COLOURS = re.compile(r"</?(?:span|font|b|i|em|strong|code|a|mark)(?:\s[^<>]*)?>", re.IGNORECASE)
_TICKS = re.compile("`+")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)[^`\r\n]+\1(?!`)")
_HIDDEN = re.compile("\uf8f0([0-9]{1,5})\uf8f1")
_CODE_BEGIN = re.compile(
    r"<pre\b(?P<attributes>[^<>]*)>|^[ \t]*+(?P<marks>`{3,}+|~{3,}+)[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_PRE_END = r"</pre\s*>"
_STRUCTURE = re.compile(
    r"</?(?:table|thead|tbody|tfoot|tr|td|th|caption|colgroup|col)\b[^<>]*>", re.IGNORECASE
)
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class _Code:
    """The code between two offsets of a source, as Markdown."""

    start: int
    end: int
    markdown: str


def fenced(opener: str, content: str) -> str:
    """The content of `<pre>` or `<code>` as fenced code."""
    if found := _CODE.match(content):
        opener, content = opener + found[1], found[2]
    language = _LANGUAGE.search(opener)
    code = html.unescape(_COLOURS.sub("", content)).removeprefix("\r").removeprefix("\n").rstrip()
    ticks = "`" * max(3, *(len(run) + 1 for run in _TICKS.findall(code)), 0)
    return f"{ticks}{language[1] if language else ''}\n{code}\n{ticks}"


def table(source: str) -> str:
    """A `<table>` as a Markdown table; "" if it has no rows. The first row is the header.

    With code of several lines, which no cell can hold, its cells follow each other instead.
    """
    if codes := list(_codes(source)):
        return "\n\n".join(_cells(source, codes))
    reader = _Table()
    reader.read(source)
    rows = [row for row in reader.rows if row]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [_row(row + [""] * (width - len(row))) for row in rows]
    caption = " ".join(reader.caption.split())
    head = [f"{caption}\n"] if caption else []
    return "\n".join([*head, lines[0], _row(["---"] * width), *lines[1:]])


def _codes(source: str) -> Iterator[_Code]:
    """The code of several lines. Linear: it remembers which endings do not occur any more."""
    position, missing = 0, set[str]()
    while begin := _CODE_BEGIN.search(source, position):
        position, marks = begin.end(), begin["marks"]
        ending = rf"^[ \t]*+{marks}{marks[0]}*+[ \t]*$" if marks else _PRE_END
        if ending in missing:
            continue
        end = re.compile(ending, re.IGNORECASE | re.MULTILINE).search(source, position)
        if end is None:
            missing.add(ending)
            continue
        content, position = source[position : end.start()], end.end()
        if marks:
            yield _Code(begin.start(), position, _dedented(source[begin.start() : position]))
        elif "\n" in content:
            yield _Code(begin.start(), position, fenced(begin["attributes"], content))


def _cells(source: str, codes: Iterable[_Code]) -> Iterator[str]:
    reached = 0
    for code in codes:
        yield from _texts(source[reached : code.start])
        yield code.markdown
        reached = code.end
    yield from _texts(source[reached:])


def _texts(source: str) -> Iterator[str]:
    return filter(None, (" ".join(cell.split()) for cell in _STRUCTURE.split(source)))


def _dedented(code: str) -> str:
    return textwrap.dedent(code).strip("\n")


def _row(cells: list[str]) -> str:
    spelled = (_PIPE.sub(r"\|", " ".join(cell.split())) for cell in cells)
    return f"| {' | '.join(spelled)} |"


def bullets(source: str) -> str:
    """A `<ul>` or `<ol>` as a Markdown list; "" if it has no items."""
    reader = _List()
    reader.read(source)
    lines = [f"{indent}{' '.join(text.split())}" for indent, text in reader.items]
    lead = " ".join(reader.head.split())
    head = [f"{lead}\n"] if lead and lines else []
    return "\n".join([*head, *(line for line in lines if line.strip())])


class _Reader(HTMLParser, ABC):
    """Passes the text, and the tags within a line as they are, to `put`. Code spans are text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._spans: list[str] = []

    def read(self, source: str) -> None:
        """Read a whole text."""
        self.feed(_SPAN.sub(self._hide, source))
        self.close()

    def _hide(self, span: re.Match[str]) -> str:
        self._spans.append(span[0])
        return f"\uf8f0{len(self._spans) - 1}\uf8f1"

    def _shown(self, text: str) -> str:
        return _HIDDEN.sub(self._span, text)

    def _span(self, hidden: re.Match[str]) -> str:
        number = int(hidden[1])
        return self._spans[number] if number < len(self._spans) else hidden[0]

    @abstractmethod
    def put(self, text: str) -> None:
        """Text within the current element."""

    def block(self, tag: str, attributes: dict[str, str | None]) -> None:
        """An element that begins."""

    def end(self, tag: str) -> None:
        """An element that ends."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LAYOUT:
            self.put(" ")
            self.block(tag, dict(attrs))
        else:
            self.put(self._shown(" ".join((self.get_starttag_text() or "").split())))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in _LAYOUT:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _LAYOUT:
            self.put(" ")
            self.end(tag)
        else:
            self.put(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.put(self._shown(data))

    def handle_entityref(self, name: str) -> None:
        self.put(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.put(f"&#{name};")


class _Table(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption = ""
        self._depth = 0
        self._place = ""

    def put(self, text: str) -> None:
        if self._place == "cell" and self.rows:
            self.rows[-1][-1] += text
        else:  # browsers show text between the rows above the table
            self.caption += text

    def block(self, tag: str, attributes: dict[str, str | None]) -> None:
        self._depth += tag == "table"
        if self._depth > 1:
            self.put(" · " if tag in ("td", "th") else " ")
        elif tag == "caption":
            self._place = ""
        elif tag == "tr":
            self.rows.append([])
            self._place = ""
        elif tag in ("td", "th"):
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append("")
            self._place = "cell"
        elif tag == "li":
            self.put("• ")

    def end(self, tag: str) -> None:
        if self._depth == 1 and tag in ("td", "th", "caption", "tr"):
            self._place = ""
        self._depth -= tag == "table"


class _List(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[str, str]] = []
        """The indentation with the marker, and the text."""
        self.head = ""
        """The text before the first item."""
        self._lists: list[tuple[int, str]] = []
        """Of each list that is open: the next number, or 0; and the indentation of its items."""

    def put(self, text: str) -> None:
        if self.items:
            self.items[-1] = (self.items[-1][0], self.items[-1][1] + text)
        else:
            self.head += text

    def block(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag in ("ul", "ol", "menu"):
            indent = " " * len(self.items[-1][0]) if self._lists and self.items else ""
            indent = indent[:MOST_INDENTED]
            self._lists.append((_first(attributes) if tag == "ol" else 0, indent))
        elif tag == "li" and self._lists:
            number, indent = self._lists[-1]
            self._lists[-1] = (number + 1 if number else 0, indent)
            self.items.append((f"{indent}{number}. " if number else f"{indent}- ", ""))
        elif tag == "input":
            self.put("☑ " if "checked" in attributes else "☐ ")

    def end(self, tag: str) -> None:
        if tag in ("ul", "ol", "menu") and self._lists:
            self._lists.pop()


def _first(attributes: dict[str, str | None]) -> int:
    start = attributes.get("start") or ""
    return int(start) if start.isdecimal() and 0 < len(start) < 6 else 1
