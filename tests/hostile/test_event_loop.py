"""Long answers are laid out beside the event loop, so that other threads are not delayed."""

from pathlib import Path
from threading import get_ident
from typing import Any

import pytest

from bot.slack.answer.reply import Reply
from bot.slack.markdown.growing import GrowingAnswer, Visible
from bot.slack.markdown.render import SHORT, in_thread
from bot.timing import Timing
from tests.fakes.openai import slow
from tests.world import open_world


async def test_only_a_long_text_takes_a_thread() -> None:
    def where(text: str, more: str) -> int:
        assert more == "more"
        return get_ident()

    assert await in_thread(where, "x" * (SHORT - 1), "more") == get_ident()
    assert await in_thread(where, "x" * SHORT, "more") != get_ident()


async def test_a_long_answer_is_cut_cleaned_and_searched_for_code_in_threads(
    redis_url: str, tmp_path: Path, timing: Timing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: dict[str, set[int]] = {}

    def watch(module: str, name: str) -> None:
        function = getattr(__import__(module, fromlist=[name]), name)

        def watched(text: str, *more: Any) -> Any:
            if len(text) >= SHORT:
                ran.setdefault(f"{module}.{name}", set()).add(get_ident())
            return function(text, *more)

        monkeypatch.setattr(f"{module}.{name}", watched)

    watch("bot.turn.files_out", "first_messages")
    watch("bot.turn.files_out", "long_code")
    watch("bot.turn.files_out", "clean")
    watch("bot.turn.record", "clean")
    watch("bot.slack.markdown.render", "render")
    watch("bot.slack.answer.pages", "outline")
    watch("bot.slack.answer.chat", "blocks")
    watch("bot.slack.answer.chat", "fallback")
    async with open_world(
        redis_url, tmp_path, timing=timing, bot_answer_messages=1, bot_streaming=False
    ) as world:
        world.fake.answer = "word " * 6_000
        await world.ask("#general", "@bot go")
    assert len(ran) == 8
    assert not any(get_ident() in idents for idents in ran.values())


@pytest.mark.parametrize("streams", [True, False])
async def test_a_long_answer_is_laid_out_in_threads_while_it_grows(
    redis_url: str,
    tmp_path: Path,
    timing: Timing,
    monkeypatch: pytest.MonkeyPatch,
    streams: bool,
) -> None:
    ran: dict[str, set[int]] = {}

    def watch(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def watched(self: Any, text: str) -> Any:
            if len(text) >= SHORT:
                ran.setdefault(name, set()).add(get_ident())
            return method(self, text)

        monkeypatch.setattr(owner, name, watched)

    watch(Visible, "of")
    watch(GrowingAnswer, "advance")
    watch(Reply, "_fits")
    async with open_world(redis_url, tmp_path, timing=timing, bot_stream_channels=streams) as world:
        world.fake.answer = slow("word " * 1_500, 1.2)
        await world.ask("#general", "@bot go")
    assert ran.keys() == {"of", "_fits", *(["advance"] if streams else [])}
    assert not any(get_ident() in idents for idents in ran.values())
