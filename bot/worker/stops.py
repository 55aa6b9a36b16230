"""Checks that a stop or a reset may take effect: the person may have lost the right by now."""

from bot.models import Thread
from bot.slack.rights import Rights
from bot.store.claims import InterruptReason
from bot.store.inbox import Inbox
from bot.store.interrupting import Asker
from bot.telemetry.log import log


async def permitted(
    inbox: Inbox, rights: Rights, thread: Thread, reason: InterruptReason
) -> InterruptReason | None:
    """The part of an interrupt of the thread's turn that may take effect; None if nothing may.

    `web` has checked the right, too. Raises Retry while Slack cannot say who a person is, and
    StoreUnavailable.
    """
    asked = await inbox.asked(thread)
    if asked is None:
        return reason
    allowed = {each.reason for each in asked.people if not await _refusal(rights, thread, each)}
    if not allowed and await inbox.ignore_interrupt(thread, asked):
        log.info("interrupt_refused", thread=thread.key, reason=reason)
    return "reset" if "reset" in allowed else "stop" if allowed else None


async def _refusal(rights: Rights, thread: Thread, asker: Asker) -> str:
    check = rights.reset_refusal if asker.reason == "reset" else rights.refusal_of
    return await check(thread, asker.user_id, asker.user_team_id)
