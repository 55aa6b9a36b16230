"""Recovery of threads that lost their place when the stream of ready threads was corrupt or
missing."""

from bot.models import Thread
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.scripts import Call
from bot.telemetry.log import log

SCANNED = 500


async def recover_places(connection: Connection, keys: Keys) -> None:
    """Make every thread ready that has messages and is neither ready nor due later."""
    cursor, recovered = "0", 0
    while True:
        cursor, found = await connection.execute(
            *("SCAN", cursor, "MATCH", keys.inboxes, "COUNT", SCANNED)
        )
        names = [keys.thread_of(name) for name in found]
        threads = [thread for _, thread in read_each(keys.ready, names, Thread.parse)]
        recovered += sum(
            await connection.run_many(
                "recover",
                [Call(thread, args={"name": thread.key}) for thread in threads],
            )
        )
        if str(cursor) == "0":
            break
    await connection.execute("DEL", keys.recover)
    if recovered:
        log.warning("places_recovered", threads=recovered)
