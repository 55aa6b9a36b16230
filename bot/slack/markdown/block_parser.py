"""The block rules of markdown-it-py, tried by the first character of a line.

markdown-it tries each of its rules at each line, and reads each paragraph twice. Most lines can
only be text, which their first character shows. The blocks are the same; only the
tokens that begin a block are kept.
"""

import re
from collections.abc import Callable
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.parser_block import ParserBlock
from markdown_it.rules_block import (
    StateBlock,
    blockquote,
    code,
    fence,
    heading,
    hr,
    list_block,
    table,
)
from markdown_it.token import Token
from markdown_it.utils import EnvType

_LINE_BREAK = re.compile(r"\r\n?")
_Rule = Callable[[StateBlock, int, int, bool], bool]

_BULLETS: tuple[_Rule, ...] = (hr, list_block)
_STARTS: dict[str, tuple[_Rule, ...]] = {
    "`": (fence,),
    "~": (fence,),
    ">": (blockquote,),
    "#": (heading,),
    "_": (hr,),
    "*": _BULLETS,
    "-": _BULLETS,
    "+": (list_block,),
    **dict.fromkeys("0123456789", (list_block,)),
}
"""The rules for a line that begins with a character, in markdown-it's order."""
_ENDS_OF_LISTS = {
    first: tuple(rule for rule in rules if rule in (fence, blockquote, hr))
    for first, rules in _STARTS.items()
}
_LEFT_OUT = frozenset({"inline", "thead_open", "th_open", "td_open"})


class BlockParser:
    """Finds the blocks of a text. Raw HTML and reference definitions are text here."""

    def __init__(self) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        ruler = self._parser.block.ruler
        ruler.enableOnly(["code"])  # the state asks whether there is code by indentation
        ruler.before("code", "block", _block)
        for chain, rule in (
            ("paragraph", _interrupts),
            ("blockquote", _ends_quote),
            ("list", _ends_list),
        ):
            ruler.push(f"end of {chain}", rule, {"alt": [chain]})

    def parse(self, text: str) -> list[Token]:
        """The tokens that begin a block, each with its range of lines (`map`) and its level."""
        normalized = _LINE_BREAK.sub("\n", text).replace("\0", "\ufffd")
        state = _State(normalized, self._parser, {}, [])
        ParserBlock.tokenize(self._parser.block, state, state.line, state.lineMax)
        return state.tokens


class _State(StateBlock):
    """The state of the rules. Tokens that begin no block are not kept."""

    def __init__(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> None:
        super().__init__(src, md, env, tokens)
        self._unused = Token("", "", 0)

    def push(self, ttype: str, tag: str, nesting: Literal[-1, 0, 1]) -> Token:
        """Add a token; called by the rules."""
        if nesting < 0 or ttype in _LEFT_OUT:
            self.level += nesting
            return self._unused
        token = Token(ttype, tag, nesting, level=self.level)
        self.level += nesting
        self.tokens.append(token)
        return token

    def first(self, line: int) -> str:
        """The first character of a line."""
        return self.src[self.bMarks[line] + self.tShift[line]]


def _block(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """The block that begins in a line."""
    assert isinstance(state, _State)
    if state.is_code_block(line):
        return code(state, line, end, silent)
    if _may_be_table(state, line, end) and table(state, line, end, silent):
        return True
    for rule in _STARTS.get(state.first(line), ()):
        if rule(state, line, end, silent):
            return True
    return _text(state, line, end)


def _text(state: _State, line: int, end: int) -> bool:
    """A paragraph, or the heading that an underline makes of it."""
    before, state.parentType = state.parentType, "paragraph"
    stop, is_heading = _end_of_text(state, line + 1, end, underlines=True)
    if is_heading:
        state.parentType = before
    elif end < state.lineMax:  # a paragraph may go on behind the list or the quote around it
        stop, _ = _end_of_text(state, max(line + 1, min(stop, end - 1)), state.lineMax)
    state.line = stop + is_heading
    token = state.push("heading_open" if is_heading else "paragraph_open", "", 0)
    token.map = [line, state.line]
    return True


def _end_of_text(
    state: _State, line: int, end: int, *, underlines: bool = False
) -> tuple[int, bool]:
    """The line that ends a text, from its second line on, and whether it makes it a heading."""
    while line < end and not state.isEmpty(line):
        indentation = state.sCount[line] - state.blkIndent
        if indentation <= 3:
            if underlines and indentation >= 0 and _is_underline(state, line):
                return line, True
            if state.sCount[line] >= 0 and _interrupts(state, line, end, True):
                break
        line += 1
    return line, False


def _is_underline(state: _State, line: int) -> bool:
    mark = state.first(line)
    if mark not in ("-", "="):
        return False
    start = state.bMarks[line] + state.tShift[line]
    return state.skipSpaces(state.skipCharsStr(start, mark)) >= state.eMarks[line]


def _may_be_table(state: _State, line: int, end: int) -> bool:
    """Whether the line below may be the border below the header of a table."""
    return line + 2 <= end and state.first(line + 1) in ("|", "-", ":")


def _interrupts(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Whether a line ends the paragraph above it."""
    assert isinstance(state, _State)
    if _may_be_table(state, line, end) and table(state, line, end, silent):
        return True
    return any(rule(state, line, end, silent) for rule in _STARTS.get(state.first(line), ()))


def _ends_quote(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Whether a line ends the quote or the table above it."""
    assert isinstance(state, _State)
    return any(rule(state, line, end, silent) for rule in _STARTS.get(state.first(line), ()))


def _ends_list(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Whether a line ends the list above it."""
    assert isinstance(state, _State)
    rules = _ENDS_OF_LISTS.get(state.first(line), ())
    return any(rule(state, line, end, silent) for rule in rules)
