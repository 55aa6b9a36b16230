"""Markdown for tests of the renderer: strategies, corpora, and a parser's view of a text."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

OWN = Path(__file__).parents[1] / "data"
DATA = Path(__file__).parents[3] / "shared" / "data"
"""More data of the same kinds, too large for the repository; used if present."""

thorough = settings(deadline=None, max_examples=60)

WORDS = (
    *("a", "word", "longer-word", "snake_case", "3.14", "déjà", "End.", "so:", "x<y", "->"),
    *("漢字", "これは文です。", "中文，逗号", "한국어", "สวัสดี", "नमस्ते", "e\u0301", "Z͑ͫ̓"),
    *("😀", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
    *("<!channel>", "<!here|here>", "<@U024BE7LH>", "<#C1|general>", "<!subteam^S1>", "@channel"),
    *("@here,", "me@here.com", "<b>", "</b>", "<br/>", "<T>", "&", "&lt;", "&amp;amp;", "<", ">"),
    *("<https://a.example/x?y=1&z=2>", "<https://a.example|its label>", "<a@b.example>"),
    *("[text](https://a.example/p_(q))", "[t](<https://a.example/a b>)", '[t](/u "title")'),
    *("![alt](https://a.example/i.png)", "![](/i.png)", "[![badge](/b.svg)](/ci)"),
    *("[data](sandbox:/mnt/data/a b.csv)", "![plot](sandbox:/mnt/data/p.png)", "【4:0†source】"),
    *("`code`", "`<!channel>`", "``a ` b``", "`x < y`", "**bold**", "*it*", "~~no~~", "__b__"),
    *(r"\(x^2\)", r"\[a < b\]", "$x_1$", r"\*", r"\<", r"\`", "[1]", "[x](", "![", "`", "``"),
    *("**", "!", "[", "]", "(", ")", "|", "\\", "w" * 90, "字" * 70),
    "https://a.example/" + "p/" * 40,
)
line = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
paragraph = st.lists(line, min_size=1, max_size=4).map("\n".join)
heading = st.tuples(st.sampled_from(("# ", "## ", "###### ")), line).map("".join)
code_line = st.sampled_from(
    ("", "x = 1", "    if a < b:", "\tgo()", "<!channel>", "~~~", "``", "# not a heading", "| a |")
)


@st.composite
def fences(draw: st.DrawFn) -> str:
    marker = draw(st.sampled_from(("```", "````", "~~~")))
    info = draw(st.sampled_from(("", "python", "js title=x")))
    lines = draw(st.lists(code_line, max_size=12))
    body = [text for text in lines if not text.startswith(marker[:3])]
    return "\n".join([marker + info, *body, marker])


@st.composite
def tables(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 3))
    cells = st.lists(st.sampled_from(WORDS[:60]), min_size=columns, max_size=columns)
    rows = draw(st.lists(cells, max_size=9))
    header = [f"h{number}" for number in range(columns)]
    spaced = [[cell.replace("|", "/") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [header, ["---"] * columns, *spaced]]
    return "\n".join(lines)


def listed(blocks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    markers = st.sampled_from(("- ", "* ", "1. ", "12) "))
    items = st.lists(st.lists(blocks, min_size=1, max_size=2), min_size=1, max_size=4)
    return st.tuples(markers, items, st.booleans()).map(lambda drawn: _list(*drawn))


def _list(marker: str, items: list[list[str]], loose: bool) -> str:
    indent = " " * len(marker)
    lines = [
        marker + "\n\n".join(item).replace("\n", "\n" + indent).replace(indent + "\n", "\n")
        for item in items
    ]
    return ("\n\n" if loose else "\n").join(lines)


def quoted(blocks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return blocks.map(lambda text: "> " + text.replace("\n", "\n> "))


leaf = (
    paragraph
    | heading
    | fences()
    | tables()
    | st.sampled_from(("---", "[x] task", "    indented <b>"))
)
nested = st.recursive(leaf, lambda inner: listed(inner) | quoted(inner), max_leaves=4)
tidy = st.recursive(leaf, lambda inner: listed(inner) | quoted(leaf), max_leaves=4)


def of(blocks: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    ends = st.sampled_from(("\n", "\n", "\r\n"))
    tails = st.sampled_from(("", "\n", "\n\n\n"))
    drawn = st.tuples(st.lists(blocks, min_size=1, max_size=6), tails, ends)
    return drawn.map(lambda of: ("\n\n".join(of[0]) + of[1]).replace("\n", of[2]))


documents = of(nested)
tidy_documents = of(tidy)  # no list in a quote
soup = st.text(alphabet="`~#>-*+|[]()!<@ \n\t1.ab\\&;:中😀\r", max_size=120)
texts = documents | soup | st.text(max_size=200)


def answers() -> list[str]:
    """Answers full of Markdown, as models write them."""
    found = [path.read_text(encoding="utf-8") for path in sorted(OWN.glob("answers/*.md"))]
    path = DATA / "model-answers.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found += [json.loads(text)["output"] for text in lines]
    return found


def specifications() -> list[str]:
    """Cases on which parsers disagree, and the cases of CommonMark's specification if present."""
    cases: list[str] = json.loads((OWN / "markdown" / "edge_cases.json").read_text("utf-8"))
    folder = DATA / "markdown-spec"
    if not folder.exists():
        return cases
    examples = json.loads((folder / "commonmark-0.31.json").read_text(encoding="utf-8"))
    cases += [example["markdown"] for example in examples]
    for path in sorted(folder.glob("markdown-it.*.md")):
        parts = re.split(r"^\.$\n?", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        cases += parts[1::3]
    for path in sorted(folder.glob("mistune.*.txt")):
        text = path.read_text(encoding="utf-8")
        cases += re.findall(r"^`{32} example\n(.*?)^\.$", text, flags=re.MULTILINE | re.DOTALL)
    return cases


def parsed(markdown: str, *without: str) -> Iterator[Token]:
    """All tokens of a text in CommonMark with tables, including inline tokens."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.disable(["html_block", "reference", *without])
    for token in parser.parse(markdown):
        yield token
        yield from _flat(token)


def _flat(token: Token) -> Iterator[Token]:
    for child in token.children or []:
        yield child
        yield from _flat(child)


def code(markdown: str) -> str:
    """The content of all fences."""
    return "".join(token.content for token in parsed(markdown) if token.type == "fence")


def seen(markdown: str) -> str:
    """The visible text, without white space, invisible characters and brackets."""
    words, targets = [], list[str]()
    for token in parsed(markdown):
        words.append(_shown(token))
        if token.type == "link_open":
            targets.append(str(token.attrs["href"]))
        elif token.type == "link_close":
            target = targets.pop()
            words.append("" if re.match("https?:|mailto:|sandbox:", target) else f"({target})")
    return re.sub(r"[\s\u200b\\()\[\]$]", "", "".join(words))


def _shown(token: Token) -> str:
    if token.type == "image" and not token.content:
        source = str(token.attrs["src"])
        return "image" if source.startswith("http") else source
    if token.type in ("code_inline", "fence", "code_block"):
        return token.content
    if token.type not in ("text", "text_special"):
        return ""
    text = re.sub(r"<br/>", "", token.content)
    text = re.sub(r"【[\d:]+†[^】]*】", "", text)
    text = re.sub(r"!?\[([^\[\]]*)\]\(sandbox:[^)]*\)", r"\1", text)  # no link with a blank in it
    return re.sub(r"<https:[^|>]*\|([^>]*)>", r"\1", text)
