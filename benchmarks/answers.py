"""Latency as people see it: `python -m benchmarks.answers [ANSWERS] [SECONDS]`.

`bot run` is a separate process, the local workspace is in this one, the fake AI server in a third.
Answers of SECONDS come one after another. Prints for both engines, streamed and posted: the time to
the first visible sign (the status), to the first text, the lag from the model's last token to the
final message, and Slack calls per answer.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.turns import Bench, open_bench
from local_slack.workspace.changes import Change
from tests.world import words

TEXT = "\n\n".join(f"Paragraph {n} of an answer that people wait for." for n in range(40))


@dataclass
class Times:
    """Seconds of each answer."""

    sign: list[float] = field(default_factory=list)
    text: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    def render(self, answers: int) -> str:
        """One line of figures."""
        sign, text, lag = (statistics.median(times) for times in (self.sign, self.text, self.lag))
        calls = ", ".join(f"{name} {n / answers:.1f}" for name, n in sorted(self.calls.items()))
        total = sum(self.calls.values()) / answers
        return f"sign {sign:.2f} s, text {text:.2f} s, lag {lag:.2f} s, {total:.1f} calls ({calls})"


async def watch_answer(bench: Bench, seconds: float, times: Times) -> None:
    """Ask once, and observe every change until the answer is complete."""
    slack = bench.slack
    channel = slack.add_channel(f"c{len(slack.workspace.channels)}", ["alice"]).id
    asked = time.time()
    calls = len(slack.calls)
    root = await slack.user("alice").says(channel, "@bot tell me")
    seen: dict[str, float] = {}

    def look(_: Change) -> None:
        now = time.time() - asked
        if slack.agent_thread(channel, root).status:
            seen.setdefault("sign", now)
        texts = [words(message) for message in slack.replies(channel, root)]
        if any(texts):
            seen.setdefault("text", now)
        if texts == [TEXT]:
            seen.setdefault("whole", now)

    stop = slack.workspace.changes.observe(look)
    try:
        await slack.wait_for(lambda: "whole" in seen, 60)
    finally:
        stop()
    await asyncio.sleep(0.5)  # calls after the answer count, too
    times.sign.append(seen.get("sign", seen["text"]))
    times.text.append(seen["text"])
    times.lag.append(seen["whole"] + asked - await began(bench) - seconds)
    times.calls += Counter(call.method for call in slack.calls[calls:])


async def began(bench: Bench) -> float:
    """When the model began to work on the newest answer."""
    runs = ("/responses", "/runs")
    requests = await bench.fake.requests()
    return max(
        float(r["time"]) for r in requests if r["method"] == "POST" and r["path"].endswith(runs)
    )


async def measure(engine: str, answers: int, seconds: float, *, streaming: bool) -> None:
    """Answers of one kind; pauses between them let the rate limits refill."""
    async with open_bench(engine, streaming=streaming) as bench:
        await bench.fake.answer(text=TEXT, seconds=seconds)
        times = Times()
        for _ in range(answers):
            await watch_answer(bench, seconds, times)
        kind = "streamed" if streaming else "posted"
        print(f"{engine}, {kind}, {answers} answers of {seconds} s: {times.render(answers)}")


async def main() -> None:
    """Measure both engines, streamed and posted."""
    answers = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    for engine in ("responses", "assistants"):
        for streaming in (True, False):
            await measure(engine, answers, seconds, streaming=streaming)


if __name__ == "__main__":
    asyncio.run(main())
