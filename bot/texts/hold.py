"""Texts for people who ask for a deletion while a legal hold is on."""

RESET = (
    "⚠️ Nothing may be deleted at the moment, because your company has a legal hold. I have noted "
    "your request: once the hold ends, I will forget this conversation and whatever is added to it "
    "until then. For a fresh start now, begin a new thread."
)
FORGET_ME = (
    "⚠️ Nothing may be deleted at the moment, because your company has a legal hold. I have noted "
    "your request: I will carry it out once the hold ends, and write to you then."
)


def reset_all(count: int) -> str:
    """The result of "reset all" for `count` conversations."""
    conversations = "1 conversation" if count == 1 else f"{count} conversations"
    return (
        "⚠️ Nothing may be deleted at the moment, because your company has a legal hold. I have "
        f"noted your request: once the hold ends, I will forget {conversations}. For a fresh "
        "start now, begin a new thread."
    )
