"""Text that is not meant for people is in no post, record or notification; code is unchanged."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.slack.markdown import growing
from bot.slack.markdown.blocks import Outline, outline
from bot.slack.markdown.clean import clean, clean_so_far, reasoning
from bot.slack.markdown.growing import Visible
from bot.slack.markdown.render import fallback, render
from bot.slack.markdown.sanitize import sanitize
from tests.slack.documents import documents, thorough

CITATIONS = [
    "\ue200cite\ue202turn0search0\ue201",
    "\ue200filecite\ue202turn1file0\ue202L3-L9\ue201",
    ":contentReference[oaicite:0]{index=0}",
    "::contentReference[oaicite:12]",
    "【4:0†source】",
    "【1†L3-L9】",
    "【oaicite:3】",
    "[oaicite:1]",
    "[cite: 1, 2]",
    "[cite_start]",
    "[citation:3]",
    "citeturn0search1turn0news4",
    "(cite: turn0search1, turn0news4)",
    "[turn0search1]",
    "[1†source]",
    "[3:0†L5-L10]",
    "〖1†source〗",
    "⟦cite:1⟧",
    "[web:3]",
    "[memory:2, 4]",
    "[doc1]",
    ":citation[1]",
    "::cite{#a}",
    "{{cite:1}}",
    '<citation id="1"/>',
    "<ref>[1]</ref>",
]
REASONING = [
    "<think>\nThe user wants X.\n</think>\n\n",
    "<thinking>X</thinking>",
    "<reasoning>X\n```\nunclosed</reasoning>\n",
    "<seed:think>X</seed:think>",
    "<think >X</think >",
    '<reasoning effort="low">X</reasoning>',
    "<antThinking>X</antThinking>",
    "<inner_monologue>X</inner_monologue>",
    "<longcat_think>X</longcat_think>",
    "<ponder>X</ponder>",
    "<|thinking_start|>X<|thinking_end|>",
    "<｜begin▁of▁thinking｜>X<｜end▁of▁thinking｜>",
    "<details><summary>Thought for 3 s</summary>\nX\n</details>\n",
    '<details class="reasoning">X</details>',
    "<|im_start|>assistant\n<think>X</think>",
    "[THINK]X[/THINK]",
    "◁think▷X◁/think▷",
    "<|START_THINKING|>X<|END_THINKING|>",
    "<|begin_of_thought|>X<|end_of_thought|>",
    "<|channel|>analysis<|message|>X<|end|><|start|>assistant<|channel|>final<|message|>",
    '<details type="reasoning" done="true">\nX</details>\n',
    "X is what they want.\n</think>\n\n",
    "analysisX is wanted.assistantfinal",
]


@pytest.mark.parametrize("marker", CITATIONS)
def test_citation_markers_are_removed(marker: str) -> None:
    assert clean(f"Rain {marker} tomorrow {marker}{marker}.\n\n{marker}") == "Rain tomorrow.\n\n"
    assert clean(f"Rain `{marker}`.\n\n```\n{marker}\n```") == (
        f"Rain `{marker}`.\n\n```\n{marker}\n```"
    )
    assert fallback(f"Rain {marker} tomorrow.") == "Rain tomorrow."


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("A <co>word</co: 1>.", "A word."),
        ("([oai_citation:0‡site.org](https://a.example/b))", "([site.org](https://a.example/b))"),
        ('<cite index="0-1">said</cite>', "said"),
        ("Hi.</s>", "Hi."),
        ("Hi.<eos>", "Hi."),
        ("<|im_start|>assistant\nHi.<|im_end|>", "Hi."),
        ("<think/>Hi.", "Hi."),
        ("\ufeffHi.", "Hi."),
    ],
)
def test_the_text_within_markers_stays(written: str, text: str) -> None:
    assert clean(written) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Rain (【4:0†source】).", "Rain."),
        ("Rain (【4:0†source】, 【4:1†source】) and sun", "Rain and sun"),
        ("雨（【4:0†source】）。", "雨。"),
        ("Rain (\ue200cite\ue202turn0search1\ue201)", "Rain"),
        ("Rain (see 【4:0†source】) f(x)", "Rain (see) f(x)"),
        ("Rain (【4:0†source】 and", "Rain ( and"),
        ("Rain `(【4:0†source】)`", "Rain `(【4:0†source】)`"),
        ("**Rain (【4:0†source】)** and sun", "**Rain** and sun"),
        ("**Rain 【4:0†source】** and sun", "**Rain** and sun"),
        ("It is *rain 【4:0†source】*, ~~sun 【4:1†source】~~.", "It is *rain*, ~~sun~~."),
        ("Rain 【4:0†source】 **and** sun", "Rain **and** sun"),
        ("Rain 【4:0†source】**and** sun", "Rain **and** sun"),
        ("(see rain (【4:0†source】))", "(see rain)"),
    ],
)
def test_markers_leave_no_empty_parentheses(written: str, text: str) -> None:
    assert clean(written) == text
    shown = [Visible().of(written[:end]) for end in range(len(written) + 1)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown)), shown
    assert text.startswith(shown[-1])


def test_the_name_of_an_entity_stays() -> None:
    assert clean('In \ue200entity\ue202["deployment","Paris","capital"]\ue201.') == "In Paris."


@pytest.mark.parametrize(
    "text",
    [
        *(
            "【重要】お知らせ",
            "【1】章",
            "[1] and a[0][1]",
            "a:b",
            "to cite turns",
            "a[doc1]",
            "b[web:3]",
        ),
        *(
            "[doc1](https://a.example)",
            "see [†]",
            "in [web: of lies]",
            "(turn left)",
            "::before{x}",
        ),
        *("the <eos> token", "<s>old</s>", "the <thought process> of x", "{{name}}"),
    ],
)
def test_what_only_looks_like_a_marker_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("thought", REASONING)
def test_reasoning_is_separated_from_the_answer(thought: str) -> None:
    text = f"{thought}The answer is `4`."
    assert clean(text) == "The answer is `4`."
    assert reasoning(text).startswith(("X", "The user wants X."))
    assert fallback(text) == "The answer is 4."


@pytest.mark.parametrize(
    "text",
    [
        "Models write `<think>` and `</think>` around it.",
        "```xml\n<think>\nx\n</think>\n```\nis how.",
        "Put it between the <think> tag and the end.",
        "It ends with the </think> tag in the text.",
        "Use [think] or <thing>.",
    ],
)
def test_tags_in_prose_stay(text: str) -> None:
    assert clean(text) == text
    assert reasoning(text) == ""


def test_reasoning_that_is_never_closed_is_no_answer() -> None:
    assert clean("<think>Let me see") == ""
    assert reasoning("<think>Let me see") == "Let me see"


def test_reasoning_about_its_own_tags_does_not_cost_the_answer_before_it() -> None:
    text = "One.\n\n<think>a <think>b</think> c</think>\n\nTwo."
    assert clean(text).split() == ["One.", "Two."]
    assert reasoning(text).split() == ["a", "<think>b", "c"]


def test_control_characters_are_removed_everywhere() -> None:
    text = "\x1b[31mred\x1b[0m \x00n\x9bul \x1b]8;;https://a.example\x07link\x1b]8;;\x07"
    assert clean(text + "\u202eevil\u2066") == "red nul linkevil".replace("nul", "n" + "l")
    assert clean("```\n\x1b[1;32mok\x1b[m\x00\n```") == "```\nok\n```"
    assert render("a\x00b\x1b[0m\n`c\x07`") == "ab\n`c`"


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert clean("a \ud83d b") == "a \ufffd b"


@pytest.mark.parametrize(
    ("written", "posted"),
    [
        ("| a | b |\n|--|--|\n| 1 | open<br>close<br/>lock |", "| 1 | open close lock |"),
        ("one<br>two<br/>\nthree", "one\ntwo\nthree"),
        ("- a<br>b\n> q<br>r", "- a\n  b\n> q\n> r"),
        ("<b>bold</b>, <em>it</em>, <kbd>Ctrl</kbd>", "**bold**, *it*, `Ctrl`"),
        ("H<sub>2</sub>O and 10<sup>-3</sup>, 4<sup>th</sup>", "H₂O and 10⁻³, 4th"),
        ('<a href="https://a.example">x</a>', "[x](https://a.example)"),
        ("<p>text</p><!-- hidden -->", "text"),
        ('a <img alt="b"></img> c', "a b c"),
        ("<p>a</p><p>b</p>c<div>d</div>", "a\nb\nc\nd"),
        ("<h2>Title</h2>Text", "**Title**\nText"),
        ("As follows:<ul><li>a <b>b</b></li><li>c</li></ul>end", ":\n• a **b**\n• c\nend"),
        ("| a |\n|--|\n| <ul><li>x</li><li>y</li></ul> |", "|  • x • y  |"),
        ("<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>", "- a\n- b\n"),
        ("<ol start=3>\n<li>a<ul>\n<li>b\n</ul>\n<li><i>c</i>\n</ol>", "3. a\n   - b\n4. *c*\n"),
        ("<ul>\nSo:\n<li>a\n</ul>", "So:\n\n- a\n"),
        ("<table>\n<tr><td>a\n</tr>\nSo\n</table>", "So\n\n| a |\n| --- |\n"),
        ("<ul>\n<li>List<String> or `<br>`\n</ul>", "- List&lt;String&gt; or `<br>`\n"),
        (
            "<table><tr><td>a</td>\n<td>\n\n  ```py\n  b\n    c\n  ```\n</td></tr>\n</table>\nx",
            "a\n\n```py\nb\n  c\n```\n\nx",
        ),
        (
            "<table><tr><td>a</td><td><pre>b &lt;\n c</pre></td></tr></table>",
            "a\n\n```\nb <\n c\n```\n",
        ),
        (
            "<table>\n<tr><td>a <img alt=b /> c</td><td>`<td>|`</td></tr>\n</table>",
            "| a b c | `<td>\\|` |\n| --- | --- |\n",
        ),
        (
            '> <table>\n> <tr><th>a<th x="1>0">b</tr>\n> <tr><td>1 | 2</td></tr>\n> </table>\nx',
            "> | a | b |\n> | --- | --- |\n> | 1 \\| 2 |  |\n\nx",
        ),
        (
            '1. x\n   <pre><code class="language-py">\na &lt; `b`\n  <span>c</span>\n</code></pre>',
            "1. x\n   ```py\n   a < `b`\n     c\n   ```\n",
        ),
        ("<pre>\n```\n</pre>\nx", "````\n```\n````\n\nx"),
        (
            "A <b>b\nc</b> <a\n  href='https://a.example/(d)?e>f'>g\nh</a>",
            "**b c** [g h](https://a.example/%28d%29?e%3Ef)",
        ),
        ("<h2>\n  T\n</h2>\n<p>a\nb</p>c", "**T**\na\nb\nc"),
        ("<div>\n    <p>a</p>\n    b\n</div>", "a\n    b\n"),
        ("a <!-- b\n\n> c --> d", "a  d"),
        ("1. <details><summary>a</summary>b</details>", "1. **a**\n   b"),
        ('- <input type="checkbox" checked> a', "- ☑ a"),
        ("The <b> tag\n\nand </b>.", "The &lt;b&gt; tag\n\nand &lt;/b&gt;."),
        ("```\n<table>\n</table>\n```\n`<!--\n-->`", "```\n<table>\n</table>\n```\n`<!--\n-->`"),
        ("a```\n```\n<!--\n-->", "```\n<!--\n-->"),
        ("x\n\n    <pre>\n    a\n    </pre>", "    <pre>\n    a\n    </pre>"),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
            "a · b\n1 · 2",
        ),
        ("> <p>a</p><p>b</p>", "> a\n> b"),
        ("<p>1</p><p># 2</p>", "1 # 2"),
        ("the <li> and <p> and <td> tags", "the &lt;li&gt; and &lt;p&gt; and &lt;td&gt; tags"),
        (
            "\\begin{align}\na_1&=b\\\\\nc&=d\n\\end{align}",
            "`\\begin{align} a_1&=b\\\\ c&=d \\end{align}`",
        ),
        ("\\begin{equation}\\begin{cases}a\\end{cases}\\end{equation}.", "\\end{equation}`."),
        ("\\begin{itemize}", "\\begin{itemize}"),
        ("H$_2$O, 10$^{-3}$, x$_{ab}$", "H₂O, 10⁻³, x`_{ab}`"),
        ("[^1^] [^^]", "¹ (^)"),
        ("*重要（必読）*です", "*重要（必読）\u200b*です"),
        ("彼は*「はい」*と", "彼は*\u200b「はい」\u200b*と"),
        ("~~古い（旧）~~新しい", "~~古い（旧）\u200b~~新しい"),
        ("***強調！***です", "***強調！\u200b***です"),
        ("**強調：*必ず！***です", "**強調：*必ず！\u200b***です"),
        ("5*（3＋2）*4と2 * （3）", "5*（3＋2）*4と2 * （3）"),
        ("vector<int> <T> `<br>` <b> alone", "vector&lt;int&gt; &lt;T&gt; `<br>` &lt;b&gt; alone"),
        (r"\(a\,b\) and \[x < y\]", r"`a\,b` and `x < y`"),
        ("\\[\n\\frac{1}{2} \\\\\n\\]", "`\\frac{1}{2} \\\\`"),
        ("$E=mc^2$, $x$, $$a_i$$", "`E=mc^2`, `x`, `a_i`"),
        ("$5 and $10, $5-$10, $HOME/$USER, US$5", "$5 and $10, $5-$10, $HOME/$USER, US$5"),
        ("**重要：**明日", "**重要：\u200b**明日"),
        ("**Note:**注意", "**Note:\u200b**注意"),
        ("注意**(new)** ok", "注意**\u200b(new)\u200b** ok"),
        ("<details><summary>More</summary>\n\ntext\n\n</details>", "**More**\n\ntext\n\n"),
        ("これは**「重点」**です", "これは**\u200b「重点」\u200b**です"),
        ("**예약(온라인)**은 **Note:** x", "**예약(온라인)\u200b**은 **Note:** x"),
        ("説明：https://a.example/x（説明）", "説明：<https://a.example/x>（説明）"),
        ("text[^1] [^note]\n\n[^1]: The note.", "text¹ (note)\n\n¹: The note."),
        ("[a][1]\n\n[1]: https://a.example", "[a][1]\n\n[1] https://a.example"),
        ("[x](/docs) [y](#part)", "x (/docs) y"),
        ("[z](javascript:alert(1))", "z (javascript:alert(1))"),
        ("[z](JaVaScRiPt:x) [v](vbscript:x)", "z (JaVaScRiPt:x) v (vbscript:x)"),
        ("[z](@here)", "z (@\u200bhere)"),
        ("npm i @here/maps-api @here", "npm i @here/maps-api @\u200bhere"),
    ],
)
def test_what_slack_does_not_know_stays_legible(written: str, posted: str) -> None:
    assert render(written).endswith(posted)
    assert sanitize(render(written)) == render(written)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (
            "See https://a.example/src/__tests__/x_(y).js",
            "See https://a.example/src/__tests__/x_(y).js",
        ),
        ("| h |\n|--|\n| `a \\| b` |", "h a | b"),
        (
            "Bank_(river) and __init__.py and src/__tests__/x",
            "Bank_(river) and __init__.py and src/__tests__/x",
        ),
        ("__bold__ _it_ **b** *i* ~~s~~", "bold it b i s"),
    ],
)
def test_the_notification_keeps_addresses_cells_and_names(written: str, text: str) -> None:
    assert fallback(written) == text


MARKED = [f"Rain {marker} tomorrow, and more words.\n\nEnd." for marker in CITATIONS] + [
    f"{thought}The answer is `4`.\n\nIt is so." for thought in REASONING if thought[0] != "X"
]


@pytest.mark.parametrize(
    "text",
    [
        *MARKED,
        "a<br>b and <b>c</b> d\n\n<details>\n<summary>More</summary>\n\ntext\n</details>\nend",
        r"\(a\,b\) then $x^2$ and $$\frac{1}{2}$$ for $5 and $10." + "\n\n\\[\nx\n\\]\n\nend",
        "これは*「重点」*です。~~古い（旧）~~新しい ***強調！***です。2*3 *a\n"
        "* b *（c）*で *d e\n\nend",
        "H$_2$O is\n\\begin{align}\na_1&=b\\\\\nc&=d\n\\end{align}\nso\n\nend",
        "x<ul><li>a</li><li>b</li></ul>y <p>a</p><p>b</p>\n\n"
        "| a |\n|--|\n| <li>x</li><li>y</li> |\n\nend",
        "<think>x</think >Hi (cite: turn0search1), and (see it).</s> No.\n\nend",
        "**Note:**注意。x **a:**中\n\n<details> **\n\n<b>x **</b>\n\n**重要：**明日は**「重点」**です。説明：https://a.example/x（説明）。",
        "text[^1] @here/maps-api @here [x](/docs) [z](javascript:alert(1))\n\n[^1]: The note.",
        "# A\n\nOne **two** three.\n\n- a\n- b\n\n```\nx\n```\n\n| a |\n|--|\n| 1 |\n\nend",
    ],
)
def test_no_prefix_shows_text_that_the_whole_does_not(text: str) -> None:
    whole, visible = render(text), Visible()
    for end in range(len(text) + 1):
        assert whole.startswith(visible.of(text[:end]))
    assert visible.of(text + "\n\nOne more paragraph of words.\n").startswith(whole.rstrip()[:-9])


PIECES = [
    *(
        "*",
        "**",
        "***",
        "~~",
        "（必）",
        "重要",
        "a",
        " ",
        "\n",
        "\n\n",
        "- ",
        "| ",
        "。",
        "`x`",
        "$_2$",
    ),
    *("<b>", "</b>", "<p>", "</p>", "<li>", "</li>", "<td>", "</td>", "[x](https://a.example)"),
    *("(cite: turn0search1)", "[web:3]", "[1†a]", "<co>", "</co: 1>", "</s>", "<br>", "(see", "["),
    *("\\begin{align}", "\\end{align}", "<details>", "</details>", "<summary>Thinking</summary>"),
]


@thorough
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_prefix_of_mixed_markup_shows_what_the_whole_does_not(text: str) -> None:
    whole, visible = render(text + "\n\nEnd."), Visible()
    for end in range(len(text) + 1):
        assert whole.startswith(visible.of(text[:end]))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "**重要：**明日",
            "*重要（必読）*です",
            "彼は*「はい」*と",
            "~~古い（旧）~~新",
            "***強調！***で",
        ),
        *(
            "**注意：*必ず！***読む",
            "**「a」**と*（b）*と~~（c）~~と",
            "**예약(온라인)**은",
            "这是*“斜体”*的",
        ),
    ],
)
def test_emphasis_beside_east_asian_text_is_emphasis_for_commonmark(text: str) -> None:
    shown = MarkdownIt().enable("strikethrough").render(sanitize(text))
    assert not set("*~") & set(shown)


@thorough
@given(st.lists(st.sampled_from([*PIECES, "\n\nWords. ", "\n\n```\n"]), max_size=25).map("".join))
@example("*\n<p><br>")
def test_what_is_visible_of_mixed_markup_is_the_same_piece_by_piece(text: str) -> None:
    """What was shown stays, even where the text, read as a whole, would show less."""
    visible, before = Visible(), ""
    for end in range(0, len(text) + 1, 3):
        shown, whole = visible.of(text[:end]), Visible().of(text[:end])
        assert shown == whole or (shown == before and shown.startswith(whole))
        before = shown


@pytest.mark.parametrize(
    "mark", ["", " [cite: 1]", "【4:0†source】", "\ue200cite\ue202turn0search1\ue201"]
)
def test_a_growing_answer_is_read_from_its_last_block_on(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def outlined(text: str) -> Outline:
        read.append(len(text))
        return outline(text)

    monkeypatch.setattr(growing, "outline", outlined)
    text, visible = f"A sentence of some words{mark}.\n\n" * 100, Visible()
    for end in range(0, len(text), 20):
        visible.of(text[:end])
    assert max(read) < 3 * len(text) / 100


@thorough
@given(documents, st.integers(1, 9))
def test_what_is_visible_is_the_same_read_at_once_and_piece_by_piece(text: str, step: int) -> None:
    visible = Visible()
    for end in range(0, len(text), step * 7):
        assert visible.of(text[:end]) == Visible().of(text[:end])


@thorough
@given(documents)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert clean_so_far(text) in (once, once[: len(clean_so_far(text))])
