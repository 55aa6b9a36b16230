"""Which keys of the bot may have no expiry."""

from redis import Redis

from bot.store.keys import Keys


def keys_without_expiry(client: Redis) -> list[str]:
    """The keys of all bots on a server that `FAMILIES` does not know, or that have to expire and do
    not."""
    wrong = []
    for key in client.scan_iter(count=1000):
        family = Keys(key[1:].partition("}")[0]).family(key)
        if family is None or (family.expires and client.ttl(key) == -1):
            wrong.append(key)
    return sorted(wrong)
