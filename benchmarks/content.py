"""CPU time for reading a message, and for cleaning and rendering an answer.

python -m benchmarks.content
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.render import SECTION
from bot.slack.client import Identity
from bot.slack.markdown.clean import clean
from bot.slack.markdown.growing import GrowingAnswer, Visible
from bot.slack.markdown.render import blocks, fallback, parts, render
from bot.slack.messages import Messages
from bot.slack.shapes import is_well_formed

REPEATED = 300
STEPS = 30
"""Updates of a streamed answer."""

PLAIN: dict[str, Any] = {
    "type": "message",
    "user": "U1",
    "channel": "C1",
    "ts": "1700000000.000100",
    "text": "<@UBOT> what is the status of <https://a.example|the release> in <#C1|general>?",
}
TABLE = {"blocks": [{"type": "table", "rows": [["Region", "Orders"]] * 20}]}
FORWARD = {"is_share": True, "author_name": "Dana", "text": "The certificate expires. " * 20}
MESSAGES = {
    "a question": PLAIN,
    "the same with its rich text": PLAIN
    | {
        "blocks": [
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [{"type": "text", "text": PLAIN["text"]}],
                    }
                ],
            }
        ]
    },
    "a forward": PLAIN | {"attachments": [FORWARD]},
    "a table of 20 rows": PLAIN | {"attachments": [TABLE]},
}
MARKED = SECTION.replace("as answers do", "as \ue200cite\ue202turn0search0\ue201 and $a_1$ do")
ANSWERS = {
    "500 characters": SECTION,
    "5,000 characters": SECTION * 10,
    "the same after reasoning": f"<think>A plan.</think>{SECTION * 10}",
    "the same with citations": MARKED * 10,
}


def streamed(text: str) -> None:
    """Lay out an answer that grows in steps."""
    growing, visible = GrowingAnswer(), Visible()
    for step in range(1, STEPS):
        growing.advance(visible.of(text[: len(text) * step // STEPS]))
    growing.finish(render(text))


def posted(text: str) -> None:
    """Everything for an answer that is posted at once."""
    for part in parts(render(text)):
        blocks(part.text)
        fallback(part.text)


def main() -> None:
    """Print the time of each step."""
    messages = Messages(Identity("T1", "", "UBOT", "BBOT", ""))
    print("µs per message".ljust(32), "shape".rjust(10), "content".rjust(10))
    for name, event in MESSAGES.items():
        body = {"type": "event_callback", "team_id": "T1", "event": event}
        shape = seconds(partial(is_well_formed, body))
        content = seconds(partial(messages.parse, event, "T1"))
        print(name.ljust(32), f"{shape * 1e6:10.0f}", f"{content * 1e6:10.0f}")
    print(
        "\nms per answer".ljust(33), *(name.rjust(10) for name in ("clean", "posted", "streamed"))
    )
    for name, text in ANSWERS.items():
        times = (seconds(partial(f, text), 10) for f in (clean, posted, streamed))
        print(name.ljust(32), *(f"{each * 1e3:10.2f}" for each in times))


def seconds(call: Callable[[], object], times: int = REPEATED) -> float:
    """The CPU time of one call, by the fastest of several rounds."""
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - begun) / times)
    return min(rounds)


if __name__ == "__main__":
    main()
