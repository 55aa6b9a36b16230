"""Deletes a conversation from the AI server, with all runs that were made in it."""

import asyncio
from contextlib import suppress

from bot.engines import Engine
from bot.errors import ConversationGone, RunFailed
from bot.store import Store
from bot.store.archive import Orphan

RUNS_AT_ONCE = 4


async def delete_remotely(store: Store, engine: Engine, orphan: Orphan, seconds: float) -> None:
    """Delete a conversation and its runs. What is left after `seconds` is left to the next call.

    Raises BotError or TimeoutError if the server does not confirm it. If a server cannot delete
    runs, the conversation must still be deleted.
    """
    async with asyncio.timeout(seconds):
        refused = await _delete_runs(store, engine, orphan)
        with suppress(ConversationGone):
            await engine.delete(orphan.conversation_id)
    if refused is not None:
        raise refused


async def _delete_runs(store: Store, engine: Engine, orphan: Orphan) -> RunFailed | None:
    """Delete runs until the server refuses several in a row; returns its refusal."""
    refused: RunFailed | None = None
    runs = await store.archive.runs(orphan)
    for start in range(0, len(runs), RUNS_AT_ONCE):
        batch = runs[start : start + RUNS_AT_ONCE]
        results = await asyncio.gather(*map(engine.delete_run, batch), return_exceptions=True)
        refusals = [result for result in results if isinstance(result, RunFailed)]
        gone = [run for run, result in zip(batch, results, strict=True) if result is None]
        await store.archive.forget_runs(orphan, gone)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, RunFailed):
                raise result
        refused = refusals[-1] if refusals else refused
        if not gone:
            break
    return refused
