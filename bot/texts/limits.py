"""Texts about limits on requests, tokens and money."""


def reached(subject: str, limit: str, when: str) -> str:
    """A limit is used up; `when` is the time of its renewal."""
    return f"⚠️ {subject} limit of {limit} is reached. It renews {when}: please ask again then."


def reserved(subject: str) -> str:
    """The rest of a limit is reserved for answers in progress."""
    return (
        f"⚠️ The rest of {subject.lower()} limit is reserved for answers that are being "
        "written: please ask again when they are done."
    )


def near(percent: int, subject: str, limit: str) -> str:
    """A limit is nearly used up."""
    return f"⚠️ {percent} % of {subject.lower()} limit of {limit} is used."


def owner(scope: str) -> str:
    """The owner of a limit."""
    return "Your" if scope == "person" else "This channel's"


def requests(count: int) -> str:
    """A limit on requests."""
    return f"{count} requests a minute"


def tokens(count: int) -> str:
    """A limit on tokens."""
    return f"{count:,} tokens a day"


def cost(dollars: float) -> str:
    """A limit on money."""
    return f"${dollars:,.2f} a month"


def span(seconds: float) -> str:
    """A duration in the largest fitting unit, rounded up."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size or size == 1:
            count = max(1, -int(-seconds // size))
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError("every span is at least one second")
