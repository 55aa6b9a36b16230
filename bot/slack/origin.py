"""The installation of the bot that a request from Slack is for."""

from slack_bolt.context.async_context import AsyncBoltContext

from bot.models import Thread


def installation(context: AsyncBoltContext) -> str:
    """The first part of a thread's key: the enterprise of an org-wide installation, else the team.

    The same for events, commands and shortcuts, which name the team of an org install differently.
    """
    if context.is_enterprise_install and context.enterprise_id:
        return context.enterprise_id
    return context.team_id or context.enterprise_id or ""


def own_thread(key: str, context: AsyncBoltContext) -> Thread:
    """The thread that a button or a modal of ours names. Raises ValueError for a malformed key, and
    for a thread of another installation: nothing there may be read or decided from here."""
    thread = Thread.parse(key)
    if thread.team_id != installation(context):
        raise ValueError("the thread is of another installation")
    return thread
