"""Texts about the memory of Redis, for admins."""


def short(used: int, limit: int) -> str:
    """The memory is nearly used up; both in bytes."""
    return (
        f"⚠️ {100 * used // limit} % of the memory of my Redis server is in use "
        f"({megabytes(used)} of {megabytes(limit)}). I have begun to delete my own copies of old "
        "conversations; the conversations themselves stay with the AI server and in Slack. Please "
        "get a larger Redis plan, or set a shorter `BOT_RETENTION_DAYS`. `bot doctor` shows how "
        "many more answers fit."
    )


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1e6:,.0f} MB"
