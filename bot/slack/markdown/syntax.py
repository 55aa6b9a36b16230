"""Regular expressions for inline syntax. Each is linear in its text."""

import re

from bot.slack.markdown.blocks import NEWLINE
from bot.slack.markdown.escape import BROADCAST
from bot.slack.markdown.markers import CITATION

WIDE_PUNCTUATION = "、。，．：；！？（）「」『』【】《》〈〉〔〕［］｛｝“”‘’…・～｜"
"""Punctuation of East Asian text, which is adjacent to words."""
_ENVIRONMENT = (
    r"\{(?:equation|align(?:ed|at)?|gather(?:ed)?|multline|split|cases|array|eqnarray|[bpvBV]?matrix"
    r"|smallmatrix)\*?\}"
)
_BODY = r"(?:[^\\]|\\(?!(?:begin|end)\{))*+"
_INNER = rf"\\begin{_ENVIRONMENT}{_BODY}\\end{_ENVIRONMENT}"
FORMULA = (
    rf"\\begin{_ENVIRONMENT}(?:{_BODY}{_INNER})*+{_BODY}\\end{_ENVIRONMENT}"
    r"|\$[\^_](?:\{[^{}$\\\r\n`]{1,40}\}|\w)\$"
    r"|\\\((?=[^\r\n]*?\w)(?:[^\\\r\n]|\\[^()\r\n])*+\\\)"
    r"|\\\[(?:[^\\]|\\[^\[\]])*+\\\]"
    r"|(?<![A-Za-z0-9_$\\])\$\$(?:[^$\\]|\\.)++\$\$"
    r"|(?<![A-Za-z0-9_$\\])\$(?![\s$])(?:[^$\\\r\n`]|\\.){1,200}(?<!\s)\$(?![A-Za-z0-9_$]|<https?:)"
)
TAG = (
    r"""</?[a-z][a-z0-9]{0,15}(?:[ \t](?:[^<>"'\r\n]|"[^"<\r\n]*+"|'[^'<\r\n]*+'|["'])*+)?/?>"""
    r"|<!--(?:[^-<]|-(?!->)|<(?!!--)){0,2000}+-->"
)
ADDRESS = rf"(?:[^\s<>\[\]()*~`\"\\|{WIDE_PUNCTUATION}]|~(?!~)){{1,2000}}(?<![_.,;:!?'])"

_FIRST = r"[\ue200-\ue206:{【〖⟦\[\](<>fcoh\\$`!@\r\n]"
"""The first characters of all tokens: most characters of a text begin none."""
SPECIAL = re.compile(
    rf"""(?={_FIRST})(?:
      (?P<MARK> {CITATION} )
    | (?P<FORMULA> {FORMULA} )
    | (?P<ESCAPE> \\[!-/:-@\[-`{{-~] )
    | (?P<TICKS> `+ )
    | (?P<AUTOLINK> < (?: (?:https?|ftp|mailto|tel):[^\s<>|]+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+ )
                      (?:\|[^<>\r\n|]*)? > )
    | (?P<HTML> {TAG} )
    | (?P<ANGLE> [<>] )
    | (?P<FOOTNOTE> \[\^[^\[\]\s`\\]{{1,60}}\](?!\() )
    | (?P<DEFINITION> (?m:^)\[(?![\^\]])[^\[\]<>@!\r\n]{{1,100}}\]:(?=[ \t]) )
    | (?P<OPEN> !?\[ )
    | (?P<CLOSE> \] )
    | (?P<URL> (?<!\w)https?://{ADDRESS} )
    | (?P<MENTION> {BROADCAST} )
    | (?P<LINE> {NEWLINE.pattern} ) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The next token of a paragraph; its `lastgroup` names a `TokenKind` of `inline`."""

_OPERAND = r"(?:[0-9][0-9.,]*|[A-Za-z](?![A-Za-z0-9_]))"
_FIRST = rf"(?<![\w*\\])(?<![0-9.,][.,]){_OPERAND}"
"""Not within a list of numbers, 1,2,3: each would be read from there to the end of the list."""
PRODUCT = re.compile(rf"{_FIRST}(?:\*{_OPERAND})+(?!\w)")
"""Numbers and variables with `*` between them, which would be the marks of emphasis: 2*3*4."""
OPEN_PRODUCT = rf"{_FIRST}(?:\*(?:{_OPERAND})?)+"
"""A product that may go on."""

_MATH = re.compile(r"\\[a-z]|[\^{}]|(?<![a-z])[a-z]_\w", re.IGNORECASE)
_WORD = re.compile("[^\\W\\d_]{2,}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_LETTER = re.compile(r"[^\W\d_]")


def is_formula(text: str) -> bool:
    """Whether text between delimiters is a formula, not two prices or two variables."""
    if not text.startswith("$") or text.startswith("$$"):
        return bool(text.strip("\\()[]$ \r\n\t"))
    if text[1] in "^_":
        return True
    inner = text[1:-1]
    if _MATH.search(inner):
        return True
    return bool(_LETTER.search(inner)) and not _WORD.search(inner) and inner[-1] not in "-+/,;:"


def formula_source(text: str) -> str:
    """A formula without its delimiters; an environment keeps them, since they have a meaning."""
    if text.startswith("\\begin"):
        return text
    return text[2:-2] if text.startswith(("\\", "$$")) else text[1:-1]
