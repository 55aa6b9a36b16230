"""Separates the reasoning that self-hosted models write into their answers.

Servers that know a model's template return its reasoning separately. Others pass it through:
`<think>…</think>`, only the closing tag, the channels of gpt-oss, and the tags of other models.
Code is not searched.
"""

import re
from dataclasses import dataclass

from bot.slack.markdown.skipping import CODE, FENCE_START, CodeEnds, occurs

_NAMES = (
    "(?:[a-z]{1,16}+[:_])?(?:ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?"
    "|scratch_?pad|analysis|monologue|chain_of_thoughts?|cot|ponder(?:ing)?|deliberation)"
    "(?:_(?:content|process|budget|steps?))?"
)
_ABOUT = "(?:thinking|thoughts?|reasoning)"
_BAR = "[|｜]"
_PAIRS = {
    "XML": (rf"<{_NAMES}(?:[ \t][^<>\r\n]{{0,200}})?(?<!/)>", rf"</{_NAMES}[ \t]*>"),
    "DETAILS": (
        rf"<details[ \t]+[^<>\r\n]{{0,100}}\b(?:type|class)=[\"']?{_ABOUT}\b[^<>\r\n]{{0,200}}>"
        rf"|<details[^<>\r\n]{{0,100}}>\s{{0,4}}<summary>[^<>\w\r\n]{{0,9}}"
        rf"{_ABOUT}\b[^<>\r\n]{{0,60}}</summary>",
        "</details>",
    ),
    "BRACKET": (r"\[THINK\]", r"\[/THINK\]"),
    "WEDGE": ("◁think▷", "◁/think▷"),
    "TOKEN": (
        rf"<{_BAR}(?:(?:start|begin)[_▁](?:of[_▁])?(?:thought|thinking)"
        rf"|think(?:ing)?(?:_start|_begin)?){_BAR}>",
        rf"<{_BAR}(?:end[_▁](?:of[_▁])?(?:thought|thinking)"
        rf"|/think(?:ing)?|think(?:ing)?_end){_BAR}>",
    ),
    "UNUSED": ("<unused94>", "<unused95>"),
    "CHANNEL": (
        r"(?:<\|start\|>\w*)?<\|channel\|>(?:analysis|commentary)[^<\r\n]{0,80}"
        r"(?:<\|constrain\|>[^<\r\n]{0,40})?<\|message\|>",
        r"<\|(?:end|call|return)\|>|(?=<\|start\|>|<\|channel\|>)",
    ),
    "THOUGHT": (r"<\|channel>thought\b", r"<channel\|>"),
}
_CLOSERS = {kind: re.compile(closer, re.IGNORECASE) for kind, (_, closer) in _PAIRS.items()}
_LONE = "|".join(_PAIRS[kind][1] for kind in ("XML", "BRACKET", "WEDGE", "TOKEN", "UNUSED"))
_SPECIAL = (
    r"(?:<\|start\|>\w*)?<\|channel\|>final[^<\r\n]{0,40}<\|message\|>"
    r"|<\|im_start\|>(?:assistant|user|system)?\n?"
    r"|<\|start_header_id\|>\w{0,20}<\|end_header_id\|>\s{0,2}"
    r"|<\|/?[a-z][a-z0-9_]{1,30}\|>|<｜[^｜<>\r\n]{1,40}｜>"
    r"|<start_of_turn>(?:(?:model|user)\n)?|<end_of_turn>"
    rf"|\A\s*<bos>|(?:<eos>|<pad>|</s>)(?=\s*\Z)|<{_NAMES}[ \t]?/>"
)
"""Tokens of chat templates."""
_WRAPPER = re.compile(
    r"(?<!\s)\s*+<(?P<name>(?:final_)?(?:answer|response|output))>"
    r"|</(?:final_)?(?:answer|response|output)>\s*\Z"
)
_WRAPPING = re.compile(r"</?(?:final_)?(?:answer|response|output)>")
_CANDIDATE = re.compile(
    rf"<(?=[|｜/a-z])(?:{_BAR}|start_of|end_of|unused|/?{_NAMES}[\s/>]|bos>|eos>|pad>|/s>)"
    rf"|\[/?THINK\]|◁|{_PAIRS['DETAILS'][0]}",
    re.IGNORECASE,
)
_TAGS = "|".join(
    [
        *(rf"(?P<{kind}>{opener})" for kind, (opener, _) in _PAIRS.items()),
        rf"(?P<LONE>{_LONE})",
        rf"(?P<SPECIAL>{_SPECIAL})",
    ]
)
_TOKEN = re.compile(
    rf"(?=[`<\[◁]|{FENCE_START}|\A)(?:{CODE}|{_TAGS})",
    re.IGNORECASE | re.MULTILINE,
)
"""Code, or a tag. The characters with which one begins are looked for first: most begin none."""
_UNFINISHED = re.compile(
    r"(?: <[|｜]?[/\w:▁]{0,40}[|｜]?(?:(?<=\w)[ \t][^<>\r\n]{0,200})?"
    r"| <details[^<>\r\n]{0,200}>\s{0,4}(?:<[a-z]{0,7}(?:(?<=summary)>[^<>\r\n]{0,80}"
    r"(?:</?[a-z]{0,7})?)?)?"
    r"| <｜[^｜<>\r\n]{0,40} | \[/?[A-Z]{0,6} | </s>\s*"
    r"| ◁/?\w{0,8} | (?:<\|start\|>\w*)?<\|channel\|>[^<\r\n]{0,80}(?:<\|?\w{0,12}\|?)?"
    r"(?:(?<=>)[^<\r\n]{0,40}(?:<\|?\w{0,12})?)? | <\|start\|>\w{0,16}"
    r"| <\|im_start\|>\w{0,9} | <start_of_turn>\w{0,5}"
    r"| <\|start_header_id\|>\w{0,20}(?:<\|?\w{0,14}\|?(?:(?<=\|)>\s{0,2})?)? )\Z",
    re.VERBOSE,
)
_BARE = re.compile(r"\s*analysis(?=[A-Z\"])")
_BARE_END = re.compile(r"assistantfinal")


@dataclass(frozen=True, slots=True)
class Split:
    """An answer without its reasoning, and the reasoning; either may be empty."""

    answer: str
    reasoning: str


def split_reasoning(text: str, *, whole: bool = True) -> Split:
    """Separate the reasoning of a model from its answer.

    With `whole=False` the text is still growing: a possible beginning of a tag, or of unclosed
    reasoning, is left out of the answer. Unclosed reasoning at the beginning means that there is no
    answer; elsewhere an unclosed tag is ordinary text.
    """
    if (bare := _BARE.match(text)) and (bare_end := _BARE_END.search(text) or not whole):
        end = bare_end if isinstance(bare_end, re.Match) else None
        thought = text[bare.end() : end.start() if end else None].strip()
        return Split(text[end.end() :].lstrip() if end else "", thought)
    tail = None if whole else _UNFINISHED.search(text, max(0, len(text) - 300))
    text = text[: tail.start()] if tail else text
    if not occurs(_CANDIDATE, text):
        return Split(text, "")
    return _Reader(text, whole).read()


def has_reasoning(text: str) -> bool:
    """Whether a text may contain reasoning, or its tags."""
    return bool(occurs(_CANDIDATE, text) or _BARE.match(text))


def end_of_leading(text: str) -> int:
    """The end of complete reasoning at the beginning of a text; 0 if there is none."""
    start = len(text) - len(text.lstrip())
    token = _TOKEN.match(text, start)
    closer = _CLOSERS.get(token.lastgroup or "") if token else None
    found = closer.search(text, token.end()) if closer and token else None
    return found.end() if found else 0


def is_plain_answer(text: str) -> bool:
    """Whether a text that follows reasoning contains no more of it, and no marks of an answer."""
    return not _CANDIDATE.search(text) and not _WRAPPING.search(text)


class _Reader:
    """One pass over a text. Linear: each search begins where the one before it ended."""

    def __init__(self, text: str, whole: bool) -> None:
        self._text = text
        self._whole = whole
        self._last = len(text.rstrip())
        self._answer: list[str] = []
        self._reasoning: list[str] = []
        self._reached = 0
        self._unclosed: set[str] = set()
        self._code = CodeEnds(text)

    def read(self) -> Split:
        position = 0
        while token := _TOKEN.search(self._text, position):
            position = self._read(token)
        self._answer.append(self._text[self._reached :])
        answer = "".join(self._answer)
        reasoning = "\n\n".join(filter(None, map(str.strip, self._reasoning)))
        return Split(_unwrapped(answer.lstrip()) if reasoning else answer, reasoning)

    def _read(self, token: re.Match[str]) -> int:
        """Handle a token; returns the offset from which to search for the next one."""
        kind = token.lastgroup or ""
        if token["FENCE"] is not None or kind == "TICKS":
            return self._code.after(token)
        if kind == "SPECIAL":
            return token.end() if self._is_html(token) else self._drop(token)
        if kind == "LONE":
            return self._close(token)
        return self._open(token, kind)

    def _open(self, token: re.Match[str], kind: str) -> int:
        if kind in self._unclosed:
            return token.end()
        if closer := _CLOSERS[kind].search(self._text, token.end()):
            return self._take(token.start(), token.end(), closer.start(), closer.end())
        begins = not "".join(self._answer).strip() and not self._before(token).strip()
        if begins or not self._whole:
            end = len(self._text)
            return self._take(token.start(), token.end(), end, end)
        self._unclosed.add(kind)
        return token.end()

    def _close(self, token: re.Match[str]) -> int:
        """A single closing tag: everything before it is reasoning, unless a sentence is about the
        tag. After reasoning with both tags, which may contain others, it is the text in between."""
        text, start, end = self._text, token.start(), token.end()
        in_sentence = text[start - 1 : start] in (" ", "\t") and text[end : end + 1] in (" ", "\t")
        if in_sentence or end >= self._last:
            return end if in_sentence else self._drop(token)
        thought = self._before(token)
        if not self._reasoning:
            thought = "".join([*self._answer, thought])
            self._answer = []
        self._reasoning.append(thought)
        self._reached = end
        return end

    def _take(self, start: int, inner: int, inner_end: int, end: int) -> int:
        self._answer.append(self._text[self._reached : start])
        self._reasoning.append(self._text[inner:inner_end])
        self._reached = end
        return end

    def _is_html(self, token: re.Match[str]) -> bool:
        """`</s>` ends an answer, or text that is struck through."""
        return token[0] == "</s>" and "<s>" in self._text

    def _drop(self, token: re.Match[str]) -> int:
        self._answer.append(self._before(token))
        self._reached = token.end()
        return token.end()

    def _before(self, token: re.Match[str]) -> str:
        return self._text[self._reached : token.start()]


def _unwrapped(answer: str) -> str:
    """Removes marks of the answer, which models that mark their reasoning may add."""
    return _WRAPPER.sub("", answer).lstrip()
