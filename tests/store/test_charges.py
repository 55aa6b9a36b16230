"""A turn that ends charges its people once, whatever Redis holds."""

import pytest

from bot.models import Usage
from bot.store import Claim, Store
from bot.store.usage import Charge, Spent, day_of
from tests.store.builders import deliver, take_one

USAGE = Usage(100, 40, 10, 5)
FAMILIES = ("usage", "used", "top_channels", "top_people", "teams")
CHARGES = (Charge("U2", USAGE, 7, is_first=False), Charge("U1", USAGE, 7))


async def spent_by(store: Store, claim: Claim, user_id: str) -> Spent:
    day = day_of(claim.taken_at)
    [spent] = await store.spending.sums(claim.thread.team_id, [("person", user_id, day)])
    return spent


async def test_people_are_charged_when_their_turn_ends(store: Store) -> None:
    for number in (1, 2):
        await deliver(store, f"{number}.5")
        claim = await take_one(store)
        await store.inbox.settle(claim, charges=CHARGES)
        assert await spent_by(store, claim, "U1") == Spent(
            *(number * n for n in (1, 100, 40, 10, 5, 7))
        )
        assert await spent_by(store, claim, "U2") == Spent(
            *(number * n for n in (0, 100, 40, 10, 5, 7))
        )
    assert await store.spending.top("T1", "person", day_of(claim.taken_at)[:7], 5) == ["U2", "U1"]


@pytest.mark.parametrize("family", [*FAMILIES, "sum", "usage field", "sum field"])
async def test_a_corrupt_key_is_set_aside_and_the_rest_is_counted_once(
    store: Store, family: str
) -> None:
    await deliver(store, "1.5")
    claim = await take_one(store)
    keys = dict(zip((*FAMILIES, *("sum",) * 6), CHARGES[1].keys(store.keys, claim), strict=True))
    family, _, is_field = family.partition(" ")
    key = keys[family]
    if is_field:
        field = "C1:U1:input_tokens" if family == "usage" else "input_tokens"
        await store.redis.hset(key, field, "many")
        await store.redis.expire(key, 60)
    else:
        await store.redis.set(key, "of another program", ex=60)
    await store.inbox.settle(claim, charges=CHARGES)

    assert (await store.inbox.state(claim.thread)).state == "idle"
    assert await spent_by(store, claim, "U1") == Spent(1, 100, 40, 10, 5, 7)
    assert await spent_by(store, claim, "U2") == Spent(0, 100, 40, 10, 5, 7)
    month = day_of(claim.taken_at)[:7]
    for scope, name in (("channel", "C1"), ("person", "U1")):
        score = await store.redis.zscore(store.keys.top("T1", scope, month), name)
        assert score == (220.0 if scope == "channel" else 110.0)


async def test_a_count_that_is_corrupt_is_not_marked_as_charged(store: Store) -> None:
    await deliver(store, "1.5")
    claim = await take_one(store)
    key = CHARGES[1].keys(store.keys, claim)[10]
    await store.redis.hset(key, "input_tokens", "many")
    await store.redis.expire(key, 60)
    assert await store.spending.account(claim, "U1", USAGE, 7)
    assert not await store.spending.account(claim, "U1", USAGE, 7)
    assert await spent_by(store, claim, "U1") == Spent(1, 100, 40, 10, 5, 7)
