# ruff: noqa: E501 - the cases are easier to read in one line each
"""Markdown and mrkdwn as the page renders them: structure, and nothing but text."""

import random
import time
from typing import Any

import pytest
from playwright.async_api import Page

from local_slack.control.markdown import parse

RENDER = """async ({module, name, source}) => {
  const nodes = (await import(`/_page/js/${module}.js`))[name](source);
  const root = document.createElement("div");
  root.append(...nodes);
  return root.innerHTML;
}"""
SCAFFOLD = "tabindex role aria-label scope class disabled target rel data-language type aria-level"
STRIP = """({html, names}) => {
  const root = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of root.querySelectorAll("*"))
    for (const name of names) node.removeAttribute(name);
  return root.innerHTML;
}"""


async def markdown(page: Page, text: str) -> str:
    return await render(page, "markdown", "renderMarkdown", parse(text))


async def mrkdwn(page: Page, text: str) -> str:
    return await render(page, "slack_text", "renderMrkdwn", text)


async def render(page: Page, module: str, name: str, source: Any) -> str:
    html = await page.evaluate(RENDER, {"module": module, "name": name, "source": source})
    stripped: str = await page.evaluate(STRIP, {"html": html, "names": SCAFFOLD.split()})
    return stripped


CASES = [
    # inline
    ("a **b** *c* _d_ ~~e~~ `f`", "<p>a <strong>b</strong> <em>c</em> <em>d</em> <s>e</s> <code>f</code></p>"),
    ("***a** b* **c *d***", "<p><em><strong>a</strong> b</em> <strong>c <em>d</em></strong></p>"),
    ("snake_case_name 2*3*4 5 * 6", "<p>snake_case_name 2<em>3</em>4 5 * 6</p>"),
    (r"\*not\* **open and `a*b*c`", "<p>*not* **open and <code>a*b*c</code></p>"),
    ("``a ` b`` and `` ` ``", "<p><code>a ` b</code> and <code>`</code></p>"),
    ('[a](https://x.org "t") <https://y.org>', '<p><a href="https://x.org">a</a> <a href="https://y.org">https://y.org</a></p>'),
    ("[w](https://x.org/a_(b)) ok", '<p><a href="https://x.org/a_(b)">w</a> ok</p>'),
    ("see https://x.org/a_b_c, (https://x.org)", '<p>see <a href="https://x.org/a_b_c">https://x.org/a_b_c</a>, (<a href="https://x.org">https://x.org</a>)</p>'),
    ("![alt](https://x.org/i.png)", '<p><a href="https://x.org/i.png">alt</a></p>'),
    ("[**b** `c`](https://x.org)", '<p><a href="https://x.org"><strong>b</strong> <code>c</code></a></p>'),
    ("&lt;@U1&gt; &amp; &copy; &#35;", "<p>&lt;@U1&gt; &amp; &amp;copy; #</p>"),
    ("one\ntwo  \nthree\\\nfour", "<p>one<br>two<br>three<br>four</p>"),
    # blocks
    ("# A\n\n## B ##\ntext\n\nC\n---\n", '<div>A</div><div>B</div><p>text</p><div>C</div>'),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("- a\n- b\n  - c\n    - d\n- e", "<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li><li>e</li></ul>"),
    ("1. a\n   - b\n2. c", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    ("- a\n\n  second\n- b", "<ul><li><p>a</p><p>second</p></li><li><p>b</p></li></ul>"),
    ("1. a\n   ```\n   x\n\n   y\n   ```\n2. b", "<ol><li>a<pre><code>x\n\ny</code></pre></li><li>b</li></ol>"),
    ("- [x] done\n- [ ] to do", '<ul><li><input><div>done</div></li><li><input><div>to do</div></li></ul>'),
    ("> a\nb\n> - c\n\nd", "<blockquote><p>a<br>b</p><ul><li>c</li></ul></blockquote><p>d</p>"),
    ("```py\n<b> & *c*\n```", "<pre><code>&lt;b&gt; &amp; *c*</code></pre>"),
    ("~~~~\n```\n~~~~", "<pre><code>```</code></pre>"),
    ("```\nstill open", "<pre><code>still open</code></pre>"),
    ("text\n```\na\n```\nmore", "<p>text</p><pre><code>a</code></pre><p>more</p>"),
    ("    indented\n\nnot", "<pre><code>indented</code></pre><p>not</p>"),
    ("| a | b |\n|:-:|--:|\n| 1 | `x\\|y` |\n| 2 |", "<div><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td><code>x|y</code></td></tr><tr><td>2</td><td></td></tr></tbody></table></div>"),
    ("a | b\nnot a table", "<p>a | b<br>not a table</p>"),
]  # fmt: skip


async def test_markdown_becomes_the_structure_it_means(page: Page) -> None:
    for text, expected in CASES:
        assert await markdown(page, text) == expected, text


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hit = 1</script>",
        '<img src=x onerror="window.hit = 1">',
        "[x](javascript:window.hit=1)",
        "[x](JaVaScRiPt:window.hit=1) ![x](data:text/html,hit)",
        "<javascript:window.hit=1>",
        '[x](https://e.org/"onmouseover="window.hit=1)',
        "`<img src=x onerror=window.hit=1>`",
        "| <b>x</b> |\n|---|\n| <svg onload=window.hit=1> |",
        "```<img onerror=window.hit=1 src=x>\n</code></pre><script>window.hit=1</script>\n```",
        "<https://e.org|<img src=x onerror=window.hit=1>>",
        "&lt;script&gt;window.hit=1&lt;/script&gt;",
    ],
)
async def test_no_text_ever_becomes_markup(page: Page, text: str) -> None:
    for html in (await markdown(page, text), await mrkdwn(page, text)):
        found: dict[str, Any] = await page.evaluate(
            """(html) => {
              document.getElementById("announcer").innerHTML = html;
              const all = [...document.querySelectorAll("#announcer *")];
              return {
                tags: all.map((node) => node.tagName.toLowerCase()),
                hooks: all.flatMap((node) => [...node.attributes].map((a) => a.name)),
                links: all.map((node) => node.getAttribute("href")).filter(Boolean),
              };
            }""",
            html,
        )
        assert not {"script", "img", "svg", "b", "iframe"} & set(found["tags"])
        assert not [name for name in found["hooks"] if name.startswith("on")]
        assert all(link.startswith("https://") for link in found["links"])
    assert await page.evaluate("window.hit") is None


async def test_mrkdwn_and_control_sequences_are_rendered(page: Page) -> None:
    bob = await page.evaluate(
        "(async () => [...(await import('/_page/js/state.js')).people()][1].id)()"
    )
    html = await mrkdwn(page, f"*b* _i_ ~s~ `c` <@{bob}> <!here> <https://x.org|x &amp; y> :tada:")
    assert html == (
        "<strong>b</strong> <em>i</em> <s>s</s> <code>c</code> <span>@bob</span> "
        '<span>@here</span> <a href="https://x.org">x &amp; y</a> 🎉'
    )
    assert await mrkdwn(page, "2 * 3 * 4, snake_case_name") == "2 * 3 * 4, snake_case_name"
    assert await mrkdwn(page, "&gt; said\nso") == "<blockquote>said</blockquote>so"
    assert await mrkdwn(page, "```a *b*\nc```") == "<pre><code>a *b*\nc</code></pre>"
    assert "<time>" in await mrkdwn(page, "<!date^1392734382^{date} at {time}|earlier>")


async def test_hostile_mrkdwn_is_rendered_in_time(page: Page) -> None:
    deep = "*_~" * 3_000 + "x" + "~_*" * 3_000
    texts = ["*a* " * 10_000, "*a " * 13_000, "`" * 40_000, "<@U1> " * 6_000, "<b " * 10_000, deep]
    for text in texts:
        milliseconds = await page.evaluate(
            """async (text) => {
              const { renderMrkdwn } = await import("/_page/js/slack_text.js");
              const began = performance.now();
              renderMrkdwn(text);
              return performance.now() - began;
            }""",
            text,
        )
        assert milliseconds < 5000, text[:20]
    assert await mrkdwn(page, "a <b <!here>") == "a &lt;b <span>@here</span>"


async def test_any_prefix_of_a_text_can_be_shown(page: Page) -> None:
    text = "# T\n\n1. **a** [b](https://x.org)\n   - [x] `c`\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n```py\nx\n```\n> q"
    whole = await markdown(page, text)
    for end in range(len(text)):
        await markdown(page, text[:end])
    assert whole.startswith("<div>T</div><ol>")


async def test_long_and_broken_texts_are_rendered_in_time(page: Page) -> None:
    noise = random.Random(7)
    letters = "*_~`[]()<>|#->!&\\ \n1.ab"
    texts = ["".join(noise.choices(letters, k=400)) for _ in range(60)]
    texts += ["*" * 4000, "[" * 3000, "`" * 3000, "> " * 200, "**a " * 1000, "- " * 300]
    for text in texts:
        began = time.process_time()
        nodes = parse(text)
        assert time.process_time() - began < 3, text[:40]
        milliseconds = await page.evaluate(
            """async (nodes) => {
              const { renderMarkdown } = await import("/_page/js/markdown.js");
              const began = performance.now();
              renderMarkdown(nodes);
              return performance.now() - began;
            }""",
            nodes,
        )
        assert milliseconds < 3000, text[:40]
