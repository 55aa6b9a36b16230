"""Recovery of threads that lost their place when the stream of ready threads was corrupt or
missing."""

from bot.models import Thread
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.scanning import scan
from bot.store.scripts import ScriptCall
from bot.telemetry.log import log


async def recover_places(connection: Connection, keys: Keys) -> None:
    """Make every thread ready that has messages and is neither ready nor due later."""
    recovered = 0
    async for found in scan(connection, "SCAN", match=keys.inboxes):
        names = [keys.thread_of(name) for name in found]
        threads = [thread for _, thread in read_each(keys.ready, names, Thread.parse)]
        recovered += sum(
            await connection.run_many(
                "recover",
                [ScriptCall(thread, args={"name": thread.key}) for thread in threads],
            )
        )
    await connection.execute("DEL", keys.recover)
    if recovered:
        log.warning("places_recovered", threads=recovered)
