"""Text of a canvas, which Slack returns as HTML. Pure."""

from html.parser import HTMLParser

_HEADINGS = {f"h{level}": f"{'#' * level} " for level in range(1, 7)}
_BREAKS = frozenset(
    {
        *("p", "div", "br", "hr", "li", "ul", "ol", "tr", "table"),
        *("blockquote", "pre", "section", "article", *_HEADINGS),
    }
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})


def html_text(html: str) -> str:
    """The text with its headings, lists and table cells; unclosed markup is tolerated."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        if tag in _BREAKS:
            self.parts.append("\n")
        if tag in ("td", "th"):
            self.parts.append(" | ")
        self.parts.append(_HEADINGS.get(tag, "- " if tag == "li" else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)
