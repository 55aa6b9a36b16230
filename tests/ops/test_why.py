"""`bot why`: the reason and the advice for every state of a thread."""

import inspect
import typing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.cli.main import commands
from bot.cli.why import MessagePlace, explain, parse_link, render
from bot.errors import RunFailed
from bot.models import Record, Thread
from bot.store import Decision, Store, routing, steps
from bot.store.circuits import Circuits
from bot.store.flags import refusal_mark
from bot.store.inspection import Findings, Inspection
from bot.texts.answers import WORDS, apology, reason_of, stopped
from bot.texts.steps import describe_step, in_order
from tests.store import builders

THREAD = Thread("T1", "C1", "1795747850.547488")
ROOT = "1795747850.547488"


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("https://acme.slack.com/archives/C1/p1795747850547488", MessagePlace("C1", ROOT, ROOT)),
        (
            f"<https://acme.slack.com/archives/C1/p1795747899000001?thread_ts={ROOT}&cid=C1>",
            MessagePlace("C1", ROOT, "1795747899.000001"),
        ),
        (f"http://127.0.0.1:8000/#/C1/{ROOT}", MessagePlace("C1", ROOT, ROOT)),
        (f"https://app.slack.com/archives/D1?thread_ts={ROOT}", MessagePlace("D1", ROOT, ROOT)),
        (f"https://app.slack.com/client/T1/C1/thread/C1-{ROOT}", MessagePlace("C1", ROOT, ROOT)),
        ("https://app.slack.com/client/T1/C1", None),
        (f"T1:C1:{ROOT}", MessagePlace("C1", ROOT, ROOT)),
        (f" C1 {ROOT} ", MessagePlace("C1", ROOT, ROOT)),
        ("https://acme.slack.com/archives/C1", None),
        ("https://acme.slack.com/archives/C1/p1795747850547488?thread_ts=%00", None),
        ("http://[", None),
        ("hello", None),
        ("", None),
    ],
)
def test_links_of_slack_and_of_the_page_are_read(link: str, place: MessagePlace | None) -> None:
    assert parse_link(link) == place


async def look(store: Store, ts: str = "") -> Findings:
    inspection = Inspection(store.connection, store.keys)
    [found] = await inspection.find(THREAD.channel_id, THREAD.thread_ts, ts)
    return found


def says(found: Findings, *words: str) -> None:
    text = render(MessagePlace(THREAD.channel_id, THREAD.thread_ts), [found])
    assert all(word in text for word in words), text


async def test_a_queued_thread_needs_a_worker(store: Store) -> None:
    await builders.deliver(store, "1.1", "1.2", of=THREAD)
    says(await look(store), "queued with 2 messages", "no worker is running", "`bot worker`")
    await store.workers.beat("anna", 60)
    says(await look(store), "all workers are busy")


async def test_a_running_turn_names_its_step(store: Store) -> None:
    await store.workers.beat("anna", 60)
    await builders.deliver(store, "1.1", of=THREAD)
    turn = store.turns.open(await builders.take_one(store))
    says(await look(store), "is being answered", "worker anna", "it has just begun")
    with pytest.raises(ValueError, match="the process dies here"):
        await turn.once(steps.ENGINE_INPUT, die_here)
    says(await look(store), "busy with: read the thread", "step begun")
    await store.workers.beat("anna", -1)
    says(await look(store), "held by a worker that died", "start a worker")
    await store.workers.beat("bert", 60)
    says(await look(store), "another worker takes over")


async def die_here(again: bool) -> Any:
    raise ValueError("the process dies here")


async def test_a_delayed_thread_says_when_and_why(store: Store) -> None:
    await store.workers.beat("anna", 60)
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.inbox.release(claim, 300, counts=True, reason="status 503")
    found = await look(store)
    assert found.due_at is not None
    assert 200 < found.due_at - found.now <= 300
    says(found, "is tried again in", "status 503, after 1 failure\n")


async def test_a_parked_thread_names_the_service_that_is_down(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.inbox.release(claim, 300, counts=False, reason="connection")
    await fail(store.circuits, "openai")
    await store.circuits.park("openai", THREAD, 1.0)
    says(
        await look(store), "waits for a service that is down", "openai has been down for", "refused"
    )
    says(await look(store), "start a worker")
    await store.workers.beat("anna", 60)
    says(await look(store), "nothing, once openai works again")


async def fail(circuits: Circuits, dependency: str) -> None:
    from bot.errors import DependencyDown

    error = DependencyDown("refused", certain=True)
    with pytest.raises(DependencyDown):
        async with circuits.guard(dependency):
            raise error


async def test_a_dead_letter_comes_with_its_command(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.inbox.dead_letter(claim, "model_not_found")
    says(await look(store), "given up", "model_not_found", f"bot dead retry {claim.turn_id}")


async def test_idle_and_unknown_threads_are_reported(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.conversations.save(claim, builders.conversation(of=THREAD))
    await store.inbox.settle(claim)
    says(await look(store), "has nothing to do", THREAD.key, "conv_1")
    assert await Inspection(store.connection, store.keys).find("C9", ROOT) == []
    assert "bot doctor" in render(MessagePlace("C9", ROOT), [])


async def test_a_message_that_is_not_for_the_bot_is_recognized(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.conversations.save(claim, builders.conversation(of=THREAD))
    await store.inbox.settle(claim)
    await store.redis.hset(store.keys.overheard(THREAD), "1.2", "{}")
    says(await look(store, "1.2"), "this message was read, but is not for the bot", "mention")
    says(await look(store, "1.1"), "it was a command, refused by a limit, or removed")


async def answer(store: Store, text: str, *, stamps: tuple[str, ...] = ("1.1",)) -> None:
    """Answer some messages in one turn of the thread."""
    await builders.deliver(store, *stamps, of=THREAD)
    claim = await builders.take_one(store)
    await store.conversations.save(claim, builders.conversation(of=THREAD))
    said = [Record("user", "What?", ts, "U1") for ts in stamps]
    owed = claim.messages if reason_of(text) else ()
    said.append(Record("assistant", text, stamps[-1]))
    await store.inbox.settle(claim, records=said, owed=owed)


async def test_a_question_deleted_while_it_waited_is_named(store: Store) -> None:
    await answer(store, "Yes.")
    await builders.deliver(store, "1.2", of=THREAD)
    assert await store.inbox.withdraw(THREAD, "1.2") == "waiting"
    says(await look(store, "1.2"), "its messages were deleted before a worker took them")
    assert await builders.take_all(store) == []
    says(await look(store, "1.2"), "its author deleted this message", "no answer", "sent again")
    says(await look(store, "1.1"), "it is in the conversation, and was answered")
    assert await store.inbox.withdraw(THREAD, "1.3") == "absent"
    says(await look(store, "1.3"), "older than 26 hours")


async def test_a_question_deleted_after_its_answer_is_named(store: Store) -> None:
    await answer(store, "Yes.", stamps=("1.1", "1.2"))
    await answer(store, "No.", stamps=("1.3",))
    await builders.deliver(store, "1.4", of=THREAD)
    claim = await builders.take_one(store)
    await store.conversations.retract(claim, "1.3")
    await store.inbox.settle(claim)
    says(await look(store, "1.3"), "deleted this message after it was answered")
    await store.inbox.withdraw(THREAD, "1.2")
    says(await look(store, "1.2"), "deleted this message after it was answered")


@pytest.mark.parametrize("reason", [*WORDS, "invalid_image_format", "new_reason", "dlp"])
def test_apologies_are_recognized(reason: str) -> None:
    error = RunFailed("failed", reason, text="The text so far ⚠️ ends", detail="a card number")
    found = reason_of(apology(error))
    same = {"invalid_image_format": "image", "new_reason": "other"}.get(reason, reason)
    assert found == same or WORDS[found] == WORDS[same]
    assert reason_of("⚠️ Take care.") == reason_of("Yes.") == reason_of("") == ""


async def test_an_apology_is_named_with_its_reason(store: Store) -> None:
    await answer(store, apology(RunFailed("failed", "authentication")))
    says(await look(store, "1.1"), "could not be answered (authentication)", "remove the cause")
    says(await look(store), "newest question, 1.1", "got an apology", "with the next question")
    await answer(store, apology(RunFailed("failed", "content_filter")), stamps=("1.2",))
    says(await look(store, "1.2"), "(content_filter)", "ask again, as the apology says")
    await answer(store, stopped("Well"), stamps=("1.3",))
    says(await look(store, "1.3"), "stopped by a person", "ask again for a whole answer")


async def test_a_refused_author_is_named(store: Store) -> None:
    await store.routing.route(builders.message("1.1", of=THREAD), "mention", "always")
    claim = await builders.take_one(store)
    assert await store.flags.take(refusal_mark(THREAD, "U1"), claim.turn_id, 60)
    await store.inbox.settle(claim, answered=())
    says(await look(store, "1.1"), "U1, its author, may not use the bot here", "audit log")


async def test_a_decided_approval_no_longer_waits_for_a_person(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    turn, asked = store.turns.open(await builders.take_one(store)), builders.approval()
    await store.approvals.request(turn, "U1", [asked])
    await store.approvals.suspend(turn)
    says(await look(store), "waits for a person", "U1 is to allow files/write, within")
    decision = Decision("run", "U1")
    await store.approvals.decide(THREAD, turn.id, asked, decision)
    says(await look(store), "queued with 1 message\n")


async def test_a_letter_belongs_to_its_message(store: Store) -> None:
    await answer(store, "Yes.")
    await builders.deliver(store, "1.2", of=THREAD)
    claim = await builders.take_one(store)
    await store.inbox.dead_letter(claim, "connection", dependency="openai")
    says(await look(store, "1.2"), "was given up", "answered once openai works again")
    says(await look(store, "1.1"), "was answered", "dead letters")


async def test_the_link_of_a_reply_without_its_thread_asks_for_the_first_message(
    store: Store,
) -> None:
    await store.redis.set(store.keys.name("seen", "T1", "C1", "1.7"), "1")
    [found] = await Inspection(store.connection, store.keys).find("C1", "1.7", "1.7")
    says(found, "or this is a reply", "copy the link of the thread's first message")


async def test_waiting_for_a_person_is_distinguished(store: Store) -> None:
    await builders.deliver(store, "1.1", of=THREAD)
    claim = await builders.take_one(store)
    await store.inbox.release(claim, 300, counts=False, reason="waits for an approval")
    await store.redis.hset(store.keys.thread(THREAD), "requester", "U1")
    assert explain(await look(store)).where == "waits for a person"


def makes_step(function: Any) -> bool:
    return typing.get_origin(inspect.signature(function).return_annotation) is steps.Step


def test_every_step_of_the_journal_has_a_description() -> None:
    modules = (steps, routing)
    named = [s.name for m in modules for s in vars(m).values() if isinstance(s, steps.Step)]
    made = [
        make("1") for make in vars(steps).values() if inspect.isfunction(make) and makes_step(make)
    ]
    attempt = steps.Generation(0)
    made += [attempt.conversation, attempt.append("1.1"), attempt.run_of(0), attempt.run_of(2)]
    made += [attempt.asked(1)]
    assert len(made) > 10
    for name in [*named, *(step.name for step in made)]:
        words = describe_step(name)
        assert words != name.partition(":")[0].replace("_", " "), name


def test_steps_are_shown_in_the_order_of_a_turn() -> None:
    first, second = steps.Generation(0), steps.Generation(1)
    key, later = first.call_key(0, 0), first.call_key(1, 11)
    made: list[steps.Step[Any]] = [
        steps.Step("heard", str),
        first.conversation,
        first.append("1795747850.547488"),
        first.run,
        first.asked(0),
        steps.approval_step(key),
        steps.card_step(key),
        steps.decision_step(key),
        steps.call(key),
        first.run_of(1),
        first.asked(1),
        steps.call(later),
        first.run_of(2),
        second.conversation,
        second.repeated_run(1),
        steps.ANSWER,
        steps.part(2),
        steps.part(10),
    ]
    names = [step.name for step in made]
    assert in_order(sorted(names)) == in_order(reversed(names)) == names


def test_the_command_reads_the_deployment_s_redis(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "BOT_ENGINE": "echo"}
    for name, value in {**given, "REDIS_URL": redis_url, "BOT_REDIS_PREFIX": "why"}.items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(commands, ["why", f"C1:{ROOT}"])
    assert ended.exit_code == 0, ended.output
    assert ended.output.startswith("Nothing of C1")
    assert CliRunner().invoke(commands, ["why", "hello"]).exit_code == 2
