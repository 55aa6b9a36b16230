"""Markdown for the page: parsed here, rendered there.

A text becomes a tree of nodes, each a string (text) or a list `[type, attributes, *children]`. The
page creates DOM nodes of known types only, so that no text becomes markup.
"""

import html
import re
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from local_slack.workspace.model import Json

Node = Any
"""A string, or a list `[type, attributes, *children]`."""

KEPT_TEXTS = 4096
MAX_NESTED_INLINES = 40
CONTROL = re.compile(r"<(?:@[UW]\w+|#[CG]\w+|![^>|]+|(?:https?://|mailto:)[^>|\s]+)(?:\|[^>]*)?>")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|lt|gt|amp|quot|apos|nbsp);")
URL = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)
URL_SCHEME = re.compile(r"(?<!\w)https?$", re.IGNORECASE)
LONGEST_SCHEME = 6
"""Characters of `https` and of the one before it."""
URL_END = "?!.,:;*_~'\""
TASK = re.compile(r"\[([ xX])\]\s+")


def parse(text: str) -> list[Node]:
    """The nodes of a Markdown text, as Slack's `markdown` block shows it."""
    return _parse(text)


@lru_cache(maxsize=KEPT_TEXTS)
def _parse(text: str) -> list[Node]:
    tokens = _PARSER.parse(text)
    for token in tokens:
        # The parser bounds blocks, but not emphasis. Both ends of a pair have the same level.
        token.children = [
            child
            for child in token.children or ()
            if child.nesting == 0 or child.level < MAX_NESTED_INLINES
        ]
    return _children(SyntaxTreeNode(tokens))


def with_nodes(message: Json) -> Json:
    """A message (or anything with blocks) whose `markdown` blocks carry their `nodes`."""
    shown = dict(message)
    if isinstance(blocks := message.get("blocks"), list):
        shown["blocks"] = [_with_nodes(block) for block in blocks]
    if attachments := message.get("attachments"):
        shown["attachments"] = [with_nodes(attachment) for attachment in attachments]
    return shown


def _with_nodes(block: Any) -> Any:
    """Blocks of an attachment are not checked: they may be of any shape."""
    if not isinstance(block, dict) or block.get("type") != "markdown":
        return block
    return block | {"nodes": parse(str(block.get("text") or ""))}


# Rules that differ from CommonMark


def _control(state: StateInline, silent: bool) -> bool:
    """Slack's control sequences, such as `<@U1>` and `<https://example.com|label>`."""
    if state.src[state.pos] != "<" or not (found := CONTROL.match(state.src, state.pos)):
        return False
    if not silent:
        state.push("control", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _entity(state: StateInline, silent: bool) -> bool:
    """Slack decodes only a few named entities."""
    if state.src[state.pos] != "&" or not (found := ENTITY.match(state.src, state.pos)):
        return False
    if not silent:
        state.pending += html.unescape(found[0])
    state.pos = found.end()
    return True


def _bare_url(state: StateInline, silent: bool) -> bool:
    """Bare addresses are links; trailing punctuation is not part of them."""
    if state.src[state.pos] != ":" or state.linkLevel:
        return False
    scheme = URL_SCHEME.search(state.pending[-LONGEST_SCHEME:])
    if not scheme:
        return False
    start = state.pos - len(scheme[0])
    found = URL.match(state.src, start)
    if not found:
        return False
    url = _trim_url(found[0])
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": url}
        state.push("text", "", 0).content = url
        state.push("link_close", "a", -1)
    state.pos = start + len(url)
    return True


def _trim_url(url: str) -> str:
    url = url.rstrip(URL_END)
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(URL_END)
    return url


class _SlackMarkdown(MarkdownIt):
    """Addresses stay as written; the page decides which may become links."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})
        self.enable(["table", "strikethrough"])
        self.inline.ruler.before("autolink", "slack_control", _control)
        self.inline.ruler.before("newline", "bare_url", _bare_url)
        self.inline.ruler.at("entity", _entity)

    def validateLink(self, url: str) -> bool:
        return True

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, link: str) -> str:
        return link


_PARSER = _SlackMarkdown()

# From markdown-it's tree to the page's nodes

_TAGS = {"strong": "strong", "em": "em", "s": "s", "blockquote": "quote"}


def _children(node: SyntaxTreeNode) -> list[Node]:
    return [made for child in node.children for made in _nodes(child)]


def _nodes(node: SyntaxTreeNode) -> list[Node]:
    """Convert a node of markdown-it. A paragraph of a tight list becomes only its text."""
    kind = node.type
    if kind == "text":
        return [node.content] if node.content else []
    if kind == "inline" or (kind == "paragraph" and node.hidden):
        return _children(node)
    if kind in ("softbreak", "hardbreak"):
        return [["break", {}]]
    make = _MAKERS.get(kind)
    if make is not None:
        return [make(node)]
    return [[_TAGS.get(kind, kind), {}, *_children(node)]]


def _link(node: SyntaxTreeNode) -> Node:
    return ["link", {"href": str(node.attrs.get("href", ""))}, *_children(node)]


def _image(node: SyntaxTreeNode) -> Node:
    url = str(node.attrs.get("src", ""))
    return ["link", {"href": url}, *(_children(node) or [url])]


def _code_block(node: SyntaxTreeNode) -> Node:
    words = node.info.split() if node.type == "fence" else []
    return ["pre", {"language": words[0] if words else ""}, node.content.rstrip("\n")]


def _list(node: SyntaxTreeNode) -> Node:
    kind = "ordered" if node.type == "ordered_list" else "bullets"
    start = int(node.attrs.get("start", 1)) if kind == "ordered" else 1
    return [kind, {"start": start}, *_children(node)]


def _item(node: SyntaxTreeNode) -> Node:
    """A list item; one that begins with `[x]` or `[ ]` is a task."""
    children = _children(node)
    first = children[0] if children else ""
    within = (
        first if isinstance(first, list) and first[0] == "paragraph" else [None, None, *children]
    )
    text = within[2] if len(within) > 2 else ""
    task = TASK.match(text) if isinstance(text, str) else None
    if task is None:
        return ["item", {}, *children]
    rest = [*filter(None, [text[task.end() :]]), *within[3:]]
    children = [["paragraph", {}, *rest], *children[1:]] if within is first else rest
    return ["item", {"done": task[1] != " "}, *children]


def _table(node: SyntaxTreeNode) -> Node:
    rows = [row for part in node.children for row in part.children]
    align = [str(cell.attrs.get("style", "")).partition(":")[2] for cell in rows[0].children]
    return [
        "table",
        {"align": align},
        *([_children(cell) for cell in row.children] for row in rows),
    ]


_MAKERS = {
    "link": _link,
    "image": _image,
    "fence": _code_block,
    "code_block": _code_block,
    "code_inline": lambda node: ["code", {}, node.content],
    "control": lambda node: ["control", {}, node.content],
    "heading": lambda node: ["heading", {"level": int(node.tag[1:])}, *_children(node)],
    "hr": lambda node: ["rule", {}],
    "bullet_list": _list,
    "ordered_list": _list,
    "list_item": _item,
    "table": _table,
}
