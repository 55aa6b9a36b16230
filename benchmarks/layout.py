"""What it costs to lay out a growing answer: `python -m benchmarks.layout [CHECKOUT]`.

Only the work for Slack's Markdown, without the AI server, Slack and Redis: the answer grows by what
a model writes in a second, and each time what can be shown of it is laid out for the open message.
With CHECKOUT the code of another checkout is measured, too.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
LENGTHS = (1_300, 5_000, 12_000, 40_000)
A_SECOND = 300
"""Characters."""
ROUNDS = 3
SECTION = """## Heading number {number}

Some *text* with a [link](https://example.com/a?b=1&c=2), `code` and <https://example.com>; it goes
on for a while, as answers do. And a < b, **in bold**.

- an item of a list, **bold**
  - a nested one with `code`

| name | value |
|------|-------|
| a | 1 |
| b | `2` |

```python
for number in range({number}):
    print("word", number)
```

"""


def answer_of(length: int) -> str:
    """An answer of this length, of everything that answers are made of."""
    sections = (SECTION.format(number=number) for number in range(length // 300 + 1))
    return "".join(sections)[:length]


def grow(text: str) -> tuple[float, float]:
    """Milliseconds of CPU to lay out an answer while it grows: in all, and of the longest step."""
    from bot.slack.answer.ageing import AgeingAnswer
    from bot.slack.answer.stream import LIMIT
    from bot.slack.markdown.growing import Visible

    visible, growing, steps = Visible(), AgeingAnswer(LIMIT), list[float]()
    for end in range(A_SECOND, len(text) + A_SECOND, A_SECOND):
        began = time.process_time()
        growing.advance(visible.of(text[:end]))
        steps.append((time.process_time() - began) * 1000)
    return sum(steps), max(steps)


def measure() -> dict[str, tuple[float, float]]:
    """The figures of each length: the best of some rounds, since other processes only add to it."""
    grow(answer_of(2_000))  # one-time work does not count
    texts = {f"{length:,} characters": answer_of(length) for length in LENGTHS}
    rounds = {size: [grow(text) for _ in range(ROUNDS)] for size, text in texts.items()}
    return {
        size: (min(total for total, _ in each), min(longest for _, longest in each))
        for size, each in rounds.items()
    }


def measure_in(checkout: Path) -> dict[str, tuple[float, float]]:
    """Measure a checkout in a fresh process."""
    done = subprocess.run(
        [sys.executable, str(HERE / "benchmarks" / "layout.py"), "--measure"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {size: (total, longest) for size, (total, longest) in json.loads(done.stdout).items()}


def main() -> None:
    """Print the figures of each checkout."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure()))
        return
    for checkout in (HERE, *map(Path, sys.argv[1:])):
        for size, (total, longest) in measure_in(checkout).items():
            name = "ours" if checkout == HERE else checkout
            print(f"{name}: {size}: {total:.1f} ms of CPU, the longest step {longest:.2f} ms")


if __name__ == "__main__":
    main()
