"""Rendering speed: megabytes of usual Markdown, and of pathological Markdown.

python -m benchmarks.render [size in characters]
"""

import sys
import time
from collections.abc import Callable

from bot.slack.markdown.render import blocks, fallback, parts
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.stable import stable_prefix

SECTION = """## A heading of section <b>

Some *text* with a [link](https://example.com/a?b=1&c=2), `code`, <https://example.com> and ![an
image](https://example.com/i.png); it goes on for a while, as answers do. And a < b.

- an item of a list, **bold**
  - a nested one with `code`
  - [x] a task

| name | value |
|------|-------|
| a | 1 |
| b | `2` |

```python
for number in range(10):
    print("<!channel>", number)
```

"""
HARD = {
    "one long word": "a",
    "one long line": "word ",
    "one long paragraph": "word\n",
    "list of short items": "- a\n",
    "table of short rows": "| a | b |\n",
    "open brackets": "[",
    "images in images": "![",
    "links without end": "[a](b",
    "brackets and links": "[[[a](b)",
    "backticks": "` `` ",
    "angle brackets": "<",
    "autolinks without end": "<https://a|",
    "citation marks without end": "【1†",
    "mentions": "@here ",
    "backslashes": "\\",
    "stars": "*a ",
    "quote marks": ">",
    "quotes in quotes": "> > a\n",
    "fences": "```\na\n```\n",
    "blank lines": "\n",
    "white space": " ",
    "pipes": "|",
    "emoji": "👩‍👩‍👧‍👦",
    "entities": "&lt;",
}


def main() -> None:
    """Print the seconds that each step takes."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    steps: dict[str, Callable[[str], object]] = {
        "sanitize": sanitize,
        "parts": lambda text: [part.text for part in parts(text)],
        "blocks of a part": lambda text: blocks(text[:11_500]),
        "fallback": fallback,
        "stable_prefix": stable_prefix,
    }
    print(f"seconds for {size:,} characters".ljust(32), *(name.rjust(16) for name in steps))
    usual = {"usual answers": SECTION}
    for name, unit in (usual | HARD).items():
        text = (unit * (size // len(unit) + 1))[:size]
        if name == "table of short rows":
            text = "| a | b |\n|---|---|\n" + text
        print(name.ljust(32), *(f"{seconds(step, text):16.3f}" for step in steps.values()))


def seconds(step: Callable[[str], object], text: str) -> float:
    """The CPU time of one call."""
    begun = time.process_time()
    step(text)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
