"""Lists as the API shows them: ordered, in pages."""

from collections.abc import Iterable, Mapping

from .answers import Json
from .errors import invalid


def page(objects: Iterable[Json], query: Mapping[str, str]) -> Json:
    """A list object: `order` (default desc), `limit` (1 to 100, default 20), `after`, `before`.

    The objects come in the order of their creation. Those with a `created_at` are sorted by it
    alone, which counts in seconds: within one second the older one comes first in both orders,
    which exposes a client that takes the newest of them.
    """
    rows = list(objects)
    if query.get("order", "desc") != "asc":
        rows = (
            sorted(rows, key=lambda row: -int(row["created_at"]))
            if rows and "created_at" in rows[0]
            else rows[::-1]
        )
    ids = [row["id"] for row in rows]
    if query.get("after"):
        rows = rows[_position(ids, query["after"], "after") + 1 :]
    if query.get("before"):
        rows = rows[: _position(ids, query["before"], "before")]
    limit = _limit(query)
    return {
        "object": "list",
        "data": rows[:limit],
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[:limit][-1]["id"] if rows else None,
        "has_more": len(rows) > limit,
    }


def _position(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise invalid(f"No item found with id '{wanted}'.", param=param)
    return ids.index(wanted)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "20")
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise invalid(
            f"Invalid 'limit': expected an integer from 1 to 100, but got {text!r} instead.",
            code="integer_above_max_value",
            param="limit",
        )
    return int(text)
