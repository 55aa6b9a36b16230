"""Attached files reach the model, or the answer explains why not."""

import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.media import Attachment
from bot.slack.files import MOST_BYTES, Files
from bot.slack.shared_files import parse_files
from bot.texts.files import ELSEWHERE, NO_SCOPE, TOO_LARGE, UNHEARD, UNREADABLE
from bot.turn.file_fallback import _attempts
from local_slack.workspace.shapes import file_json
from tests.world import World, network_engine, open_world

MP3 = b"ID3" + bytes(range(100))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def content(world: World) -> list[dict[str, Any]]:
    """The parts of the newest message of the conversation."""
    asked = [r.body for r in world.fake.requests if r.method == "POST" and r.path == "/responses"]
    parts: list[dict[str, Any]] = asked[-1]["input"][-1]["content"]
    return parts


async def test_an_image_is_shown_to_the_model(world: World) -> None:
    await ask_with(world, "@bot what is it?", {"cat.png": PNG})
    words, image = content(world)
    assert words == {"type": "input_text", "text": "what is it?\n(files: cat.png)"}
    assert (image["type"], image["detail"]) == ("input_image", "auto")
    assert base64.b64decode(image["image_url"].partition(",")[2]) == PNG


async def test_documents_are_sent_as_files_and_text_files_as_text(world: World) -> None:
    files = {"a.pdf": b"%PDF-1.7 ...", "b.py": "print('ä')".encode(), "c.txt": b"x" * 70_000}
    await ask_with(world, "@bot review", files)
    _, document, code, text = content(world)
    assert (document["type"], document["filename"]) == ("input_file", "a.pdf")
    assert document["file_data"].startswith("data:application/pdf;base64,")
    assert code == {"type": "input_text", "text": "<file name=\"b.py\">\nprint('ä')\n</file>"}
    assert (text["type"], text["filename"]) == ("input_file", "c.txt")


async def test_audio_is_sent_to_a_model_that_accepts_it(world: World) -> None:
    world.fake.options.hears = True
    files = {"song.mp3": MP3, "call.wav": b"RIFF....WAVE"}
    answer = await ask_with(world, "@bot listen", files)
    assert answer == "turn 1: listen\n(files: song.mp3, call.wav)"
    _, *sounds = content(world)
    heard = [sound["input_audio"] for sound in sounds]
    assert [sound["format"] for sound in heard] == ["mp3", "wav"]
    assert base64.b64decode(heard[0]["data"]) == MP3


async def test_only_the_audio_is_omitted_for_a_model_that_rejects_it(world: World) -> None:
    answer = await ask_with(world, "@bot look and listen", {"song.mp3": MP3, "cat.png": PNG})
    assert answer.endswith("⚠️ I could not read song.mp3 (the AI model does not accept it).")
    assert [part["type"] for part in content(world)] == ["input_text", "input_image"]


async def test_a_voice_message_is_answered_and_reported_as_unread(any_world: World) -> None:
    dm = any_world.slack.user("alice").dm()
    ts = await any_world.slack.user("alice").says(dm, "", files={"audio_message.m4a": b"ftypM4A"})
    (answer,) = await any_world.replies(dm, ts)
    assert "(files: audio_message.m4a)" in answer
    assert answer.endswith(f"\n\n⚠️ I could not read audio_message.m4a ({UNHEARD}).")


async def test_audio_for_an_assistant_is_reported_as_unread(assistants_world: World) -> None:
    answer = await ask_with(assistants_world, "@bot listen", {"song.mp3": MP3})
    assert answer.endswith(f"song.mp3 ({UNHEARD}).")
    assert assistants_world.fake.files == {}


def test_a_voice_message_that_slack_calls_a_video_is_a_recording() -> None:
    voice = {"id": "F1", "subtype": "slack_audio", "mimetype": "video/mp4"}
    film = {"id": "F2", "mimetype": "video/mp4"}
    assert [file.mimetype for file in parse_files([voice, film])] == ["audio/mp4", "video/mp4"]


async def test_a_file_without_text_is_answered(world: World) -> None:
    dm = world.slack.user("alice").dm()
    ts = await world.slack.user("alice").says(dm, "", files={"cat.png": PNG})
    (answer,) = await world.replies(dm, ts)
    assert answer == "turn 1: (files: cat.png)"


async def test_an_assistant_gets_files_through_the_files_api(assistants_world: World) -> None:
    world = assistants_world
    await ask_with(
        world, "@bot look", {"cat.png": PNG, "a.pdf": b"%PDF", "t.csv": b"a,b\n" * 20_000}
    )
    made = {file.filename: file for file in world.fake.files.values()}
    assert {name: file.purpose for name, file in made.items()} == {
        "cat.png": "vision",
        "a.pdf": "assistants",
        "t.csv": "assistants",
    }
    assert all(file.expires_at for file in made.values())
    (thread,) = world.fake.threads.values()
    message = thread.messages[0]
    assert message["content"][1]["image_file"]["file_id"] == made["cat.png"].id
    tools = {a["file_id"]: a["tools"][0]["type"] for a in message["attachments"]}
    assert tools == {made["a.pdf"].id: "file_search", made["t.csv"].id: "code_interpreter"}


async def test_unreadable_files_are_named_in_the_answer(any_world: World) -> None:
    files = {"all.zip": b"PK", "big.png": b"x" * (MOST_BYTES + 1), "cat.png": PNG}
    answer = await ask_with(any_world, "@bot look", files)
    assert answer.endswith(f"⚠️ I could not read all.zip ({UNREADABLE}), big.png ({TOO_LARGE}).")


async def test_a_login_page_is_not_read_as_a_file(world: World) -> None:
    await world.slack.user("alice").says("#random", "look", files={"cat.png": PNG})
    (shape,) = [file_json(world.slack.workspace, f) for f in world.slack.workspace.files.values()]
    async with aiohttp.ClientSession() as session:
        outsider = AsyncWebClient("xoxb-other", world.slack.api_url, session=session)
        loaded = await Files(outsider).load(parse_files([shape]), {"image"})
    assert loaded.attachments == ()
    assert loaded.unread == (f"cat.png ({NO_SCOPE})",)


async def test_a_stub_of_slack_connect_is_looked_up(world: World) -> None:
    await world.slack.user("alice").says("#random", "look", files={"cat.png": PNG})
    (file_id,) = world.slack.workspace.files
    stub = parse_files([{"id": file_id, "mode": "file_access", "file_access": "check_file_info"}])
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(world.slack.bot_token, world.slack.api_url, session=session)
        (attachment,) = (await Files(client).load(stub, {"image"})).attachments
    assert (attachment.name, attachment.data) == ("cat.png", PNG)


async def test_a_model_that_rejects_files_is_asked_without_them(world: World) -> None:
    world.fake.fault("error", "POST", "/responses", message="Invalid value: 'input_image'.")
    answer = await ask_with(world, "@bot look", {"cat.png": PNG})
    assert answer == (
        "turn 1: look\n(files: cat.png)\n\n"
        "⚠️ I could not read cat.png (the AI model does not accept it)."
    )


async def test_the_token_is_sent_to_slack_only(world: World) -> None:
    world.slack.workspace.files_url = "https://files.example.com"
    answer = await ask_with(world, "@bot look", {"cat.png": PNG})
    assert answer.endswith(f"cat.png ({ELSEWHERE}).")


async def test_no_file_contents_are_stored_in_redis(redis_url: str, tmp_path: Path) -> None:
    """Our record of the conversation keeps the content of text files."""
    async with open_world(redis_url, tmp_path) as world:
        world.fake.answer = ["I see."]
        files = {"cat.png": PNG + b"top secret pixels", "huge.txt": b"top secret words" * 2000}
        await ask_with(world, "@bot look", files)
        assert "top secret words" in content(world)[2]["text"]
        redis = world.bot.store.redis
        async for key in redis.scan_iter(match="*story-*"):
            kind = await redis.type(key)
            whole = await (redis.lrange(key, 0, -1) if kind == "list" else redis.dump(key))
            assert "top secret" not in str(whole)


@pytest.mark.parametrize("variant", ["openai", "no_conversations", "chat_completions"])
async def test_text_files_survive_a_lost_conversation(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    """The content of text files is in our record; other files are named as no longer available."""
    async with open_world(redis_url, tmp_path, fake={"variant": variant}) as world:
        files = {"a.txt": b"the code is 4711", "cat.png": PNG}
        root = await world.slack.user("alice").says("#general", "@bot read", files=files)
        await world.replies("#general", root)
        lose_conversations(world)
        await world.ask("#general", "which code?", thread_ts=root)
        said = str(world.fake.prompts[-1].body.get("messages") or asked(world))
    assert "the code is 4711" in said
    assert "[image cat.png, no longer available]" in said


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("variant", ["no_conversations", "chat_completions"])
async def test_a_file_refused_by_a_simple_server_is_omitted_alone(
    redis_url: str, tmp_path: Path, variant: str, status: int
) -> None:
    refusing = {"variant": variant, "takes_files": False, "file_status": status}
    async with open_world(redis_url, tmp_path, fake=refusing) as world:
        answer = await ask_with(world, "@bot look", {"cat.png": PNG})
        assert answer.startswith("turn 1: look")
        assert answer.endswith("⚠️ I could not read cat.png (the AI model does not accept it).")


@pytest.mark.parametrize("variant", ["openai", "no_conversations", "chat_completions"])
async def test_one_refused_image_does_not_cost_the_other_files(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    bad = b"not an image at all"
    async with open_world(redis_url, tmp_path, fake={"variant": variant}) as world:
        refused = base64.b64encode(bad).decode()
        world.fake.fault("error", "POST", code="invalid_image", containing=refused, times=None)
        files = {"good.png": PNG, "bad.png": bad, "note.txt": b"the secret is 42"}
        answer = await ask_with(world, "@bot compare", files)
        taken = json.dumps(world.fake.requests[-1].body)
    assert answer.endswith("⚠️ I could not read bad.png (the AI model does not accept it).")
    assert base64.b64encode(PNG).decode() in taken
    assert "the secret is 42" in taken
    assert refused not in taken


def lose_conversations(world: World) -> None:
    """Drop the state that a restart of the worker, or of the server, drops."""
    network_engine(world).replay._memories.clear()
    world.fake.conversations.clear()


def asked(world: World) -> list[Any]:
    """All input of the server: conversations and requests."""
    return [r.body for r in world.fake.requests if r.path in ("/conversations", "/responses")][-2:]


async def ask_with(world: World, text: str, files: dict[str, bytes]) -> str:
    """Ask with files attached; returns the answer."""
    ts = await world.slack.user("alice").says("#general", text, files=files)
    return (await world.replies("#general", ts))[0]


def test_a_refused_file_is_omitted_alone() -> None:
    good = Attachment("good.png", "image/png", "image", b"1")
    bad = Attachment("bad.png", "image/png", "image", b"2")
    note = Attachment("note.txt", "text/plain", "text", b"3")
    attempts = _attempts({"1.1": [good, bad, note]})
    assert [[file.name for file in attempt["1.1"]] for attempt in attempts] == [
        ["good.png", "bad.png", "note.txt"],
        ["bad.png", "note.txt"],
        ["good.png", "note.txt"],
        ["note.txt"],
    ]
