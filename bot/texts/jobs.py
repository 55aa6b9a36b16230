"""Direct messages about charts, exports and deletions."""

OWN_CHART = "Your usage this month"
TEAM_CHART = "Usage of this workspace this month"
EXPORT = "Your conversations"


def refused(reason: str) -> str:
    """Slack accepts neither the file nor the message."""
    return f"⚠️ Slack does not accept the result: {reason}. Please tell the admin of this bot."


def reset(count: int, kept: int) -> str:
    """The result of "reset all"; the person may not reset `kept` conversations."""
    done = f"Done: {_conversations(count)} reset."
    if not kept:
        return done
    return (
        f"{done} {_conversations(kept)} kept: others take part, or you can no longer see the "
        "channel. `/forget-me` removes your messages from them."
    )


def forgotten(count: int, shared: int, unconfirmed: int) -> str:
    """The result of "forget me".

    `count` conversations were deleted here; the AI server has not confirmed `unconfirmed` of them.
    `shared` is the number of conversations with other people.
    """
    where = "here" if unconfirmed else "here and on the AI server"
    parts = [
        f"Done: {_conversations(count)} deleted {where}, and so is your feedback; your name is "
        "removed from the usage counts."
    ]
    if shared:
        parts.append(
            f"Your messages are being removed from {_conversations(shared)} with other people."
        )
    if unconfirmed:
        parts.append(
            f"The AI server has not confirmed {unconfirmed} of {count} yet: I keep trying."
        )
    return " ".join(parts)


CONFIRMED = "The AI server has now confirmed it: your deleted conversations are gone there, too."


def not_deleted(count: int) -> str:
    """What stays on the AI server although its deletion was requested."""
    what = "a deleted conversation" if count == 1 else f"{count} deleted conversations"
    return (
        f"I could not delete {what} of yours from the AI server: the key from that time is no "
        "longer in use. Everything here is gone. The owner of the key can delete the rest there."
    )


BUSY = (
    "I am still stopping answers that are being written in your conversations. "
    "Once those have ended, I will delete the conversations and write to you."
)


def channel(rank: int, name: str, tokens: int) -> str:
    """A channel, with its number in the chart."""
    return f"channel {rank}: {name}, {tokens:,} tokens"


def _conversations(count: int) -> str:
    return "1 conversation" if count == 1 else f"{count} conversations"
