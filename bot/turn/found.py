"""Answers that Slack holds but a restored Redis does not know.

A turn of the lost state gave them. It may have had other messages than this one: each answer names
the messages that it covers.
"""

from collections import deque
from dataclasses import dataclass, replace

from bot.models import Answer, Conversation, Message, Record
from bot.slack.answer.posted import FoundAnswer
from bot.slack.answer.reply import Reply
from bot.store.journal import Turn
from bot.store.step_values import EngineInput
from bot.telemetry.log import log
from bot.turn.batch import Request
from bot.turn.commands import reset
from bot.turn.context import collect_input
from bot.turn.services import Services


@dataclass(frozen=True, slots=True)
class Found:
    """The answers to messages of a claim, oldest first."""

    answers: tuple[FoundAnswer, ...]

    def covers(self, message: Message) -> bool:
        """Whether one of them answers the message."""
        return any(message.ts in answer.answers for answer in self.answers)

    @property
    def stamps(self) -> set[str]:
        """The `ts` of all messages that they answer."""
        return {ts for answer in self.answers for ts in answer.answers}


async def find_answers(turn: Turn, reply: Reply) -> Found | None:
    """Look in Slack for answers to messages of the claim; None if it holds none."""
    everything = frozenset(message.ts for message in turn.claim.messages)
    found = await reply.find_whole()
    for answer in found:
        answer.answers = answer.answers or everything
    result = Found(found)
    return result if any(map(result.covers, turn.claim.messages)) else None


async def settle_found(turn: Turn, services: Services, request: Request, found: Found) -> Answer:
    """Settle with the answers found.

    Messages of the claim that they do not cover wait for the next turn. Messages that they cover
    and that are not in the claim are marked as seen: `web` may deliver them later. A conversation
    begun since the restored state becomes the thread's again. A reset is carried out again.
    """
    claim, store = turn.claim, services.store
    if any(found.covers(message) and message.kind == "reset" for message in request.messages):
        await reset(turn, services, request)
    log.warning("answer_found", thread=claim.thread.key, turn=turn.id)
    kept = [message for message in claim.messages if not found.covers(message)]
    done = [message for message in claim.messages if found.covers(message)]
    others = await _others(turn, services, found)
    text = "\n\n".join(answer.text for answer in found.answers)
    if any(message.kind == "reset" for message in done):
        records: list[Record] = []
    else:
        await _take_conversation_back(turn, services, request, found)
        records = await _records(turn, services, request, found, [*done, *others])
    await store.inbox.mark_answered(claim, found.stamps - {m.ts for m in claim.messages})
    # Redis does not know what tools the answers used: assume that they hold external content.
    await store.inbox.settle(
        claim, answered=[*done, *others], records=records, kept=kept, external=True
    )
    return Answer(text, reason="found")


async def _others(turn: Turn, services: Services, found: Found) -> list[Message]:
    """The covered messages that are not in the claim, as Slack holds them."""
    thread = turn.claim.thread
    stamps = found.stamps - {message.ts for message in turn.claim.messages}
    lines = await services.threads.said_at(thread, stamps) if stamps else []
    return [Message(thread, line.ts, line.user_id, line.text) for line in lines]


async def _take_conversation_back(
    turn: Turn, services: Services, request: Request, found: Found
) -> None:
    """Give the thread the conversation that the newest answer names, if it has none."""
    named = [answer for answer in found.answers if answer.conversation]
    if request.conversation is None and named:
        thread, first, newest = turn.claim.thread, turn.claim.messages[0], named[-1]
        conversation = Conversation(
            newest.conversation, newest.engine, thread, first.user_id, turn.claim.taken_at
        )
        await services.store.conversations.save(turn.claim, conversation)


async def _records(
    turn: Turn, services: Services, request: Request, found: Found, messages: list[Message]
) -> list[Record]:
    """The lines for our record: each answer after the messages that it covers, with their context,
    as they were sent."""
    asked = [message for message in messages if message.kind == "message"]
    asked.sort(key=lambda message: float(message.ts))
    given = EngineInput()
    if asked:
        given = await collect_input(turn, services, replace(request, messages=tuple(asked)))
    said, left = [*given.before], deque(given.messages)
    for answer in found.answers:
        last = max(answer.answers, key=float)
        while left and float(left[0].ts) <= float(last):
            message = left.popleft()
            said.append(Record("user", message.text, message.ts, message.user_id))
        said.append(Record("assistant", answer.text, last))
    return said
