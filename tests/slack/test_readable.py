"""Files of people in a form that a model can read."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.web.async_client import AsyncWebClient

from bot.media import inlined
from bot.models import File
from bot.slack.encodings import SAMPLE, decode, is_text
from bot.slack.files import Files
from bot.slack.html_text import html_text
from bot.slack.readable import captions_text
from bot.slack.shared_files import parse_file
from bot.texts.files import ELSEWHERE, NO_LUCK, UNHEARD, UNREADABLE, partly
from bot.timing import SlackTiming

AT_ONCE = SlackTiming(transcript_delays=(0.0, 0.0))
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
WESTERN = "Stadt;Umsatz\nKöln;1200\n"
JAPANESE = "名前,年齢\n山田太郎さん,30\n売上は千円です。"
RUSSIAN = "Привет, мир! 5 строк"
CHINESE = "城市;销售额\n北京;1200\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "utf-8"),
        (WESTERN, "utf-8-sig"),
        (WESTERN, "utf-16"),
        (WESTERN, "utf-16-le"),
        (WESTERN, "utf-16-be"),
        (WESTERN, "utf-32"),
        (WESTERN, "utf-32-le"),
        (RUSSIAN, "utf-16-le"),
        (RUSSIAN, "utf-16-be"),
        (JAPANESE, "utf-16-le"),
        ("नमस्ते दुनिया 5", "utf-16-be"),
        ("a" * (SAMPLE // 2 - 1) + "😀", "utf-16-le"),  # the sample ends within a character
        ("Symbol \uf8ff", "utf-16-le"),
        ("HOME=/root\0PATH=/usr/bin\0LANG=C", "utf-8"),
        ("Größe;Straße;Maß", "cp1252"),
        (WESTERN, "cp1252"),
        ("“quotes” – dash €5, 5°C", "cp1252"),
        ("Müller", "cp1252"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "utf-16"),
        (CHINESE, "gb18030"),
        ("姓名,年齡\n王小明,30\n這是一個中文文本", "big5"),
        ("이름,나이\n홍길동,30\n안녕하세요", "euc_kr"),
        ("", "utf-8"),
    ],
)
def test_the_encodings_of_text_files(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert (is_text(data), decode(data)) == (True, (text, True))


@pytest.mark.parametrize(
    ("text", "encoding"), [("Miasto;Obrót\nŁódź;1200", "iso8859_2"), ("Ημέρα;1", "cp1253")]
)
def test_a_doubtful_encoding_is_reported(text: str, encoding: str) -> None:
    assert not decode(text.encode(encoding))[1]


def test_a_damaged_character_costs_only_itself() -> None:
    assert decode("Größe 山".encode()[:-1]) == ("Größe \ufffd", False)


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04 notes", PNG + bytes(30), b"\0\0\0", b"\x01\x02ab" * 9]
)
async def test_what_is_no_text_is_not_read_as_text(data: bytes) -> None:
    async with slack({"notes.txt": data}) as (files, url):
        notes = File("F1", "notes.txt", "text/plain", len(data), f"{url}notes.txt")
        loaded = await files.load([notes], {"text"})
    assert loaded.unread == (f"notes.txt ({UNREADABLE})",)


@pytest.mark.parametrize("data", [b"\xff" * 5_000_000, b"\x80a" * 2_500_000, bytes(range(256)) * 9])
def test_any_bytes_are_decoded_soon(data: bytes) -> None:
    began = time.process_time()
    assert decode(data)[0]
    assert time.process_time() - began < 3


def test_a_canvas_becomes_text() -> None:
    html = (
        "<html><head><title>x</title><style>p{}</style></head><body><h1>Plan</h1>"
        "<p>Ship <b>it</b> &amp; go</p><ul><li>one<li>two</ul>"
        "<table><tr><td>a</td><td>b</td></tr></table><script>no()</script>"
    )
    assert html_text(html) == "# Plan\nShip it & go\n- one\n- two\n| a | b"
    assert html_text("<p>open < and <<>> &bogus; <p") != ""


def test_captions_become_text() -> None:
    vtt = "WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.000\ncall the\n\n2\n00:02.000 --> 00:03.000\nbank"
    assert captions_text(vtt) == "call the bank"


@asynccontextmanager
async def slack(
    contents: dict[str, bytes], infos: list[dict[str, Any]] | None = None
) -> AsyncIterator[tuple[Files, str]]:
    """A Slack with these files by name; `files.info` of one of them returns a sequence of
    states."""
    reported = infos if infos is not None else []

    async def info(request: web.Request) -> web.Response:
        shape = reported.pop(0) if len(reported) > 1 else reported[0]
        return web.json_response({"ok": True, "file": {"id": "F1"} | shape})

    async def content(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        kind = "text/html" if name.endswith("html") else "application/octet-stream"
        return web.Response(body=contents[name], content_type=kind)

    site = web.Application()
    site.router.add_route("*", "/api/files.info", info)
    site.router.add_get("/files/{name}", content)
    async with TestServer(site) as server, aiohttp.ClientSession() as session:
        base = str(server.make_url("/api/"))
        files = Files(AsyncWebClient("xoxb-1", base, session=session), AT_ONCE)
        yield files, str(server.make_url("/files/"))


async def test_a_text_file_in_another_encoding_reaches_the_model_as_utf_8() -> None:
    data = {"u.csv": WESTERN.encode("utf-16"), "odd.csv": "Łódź".encode("iso8859_2")}
    async with slack(data) as (files, url):
        loaded = await files.load(
            [File(n, n, "text/csv", len(b), url + n) for n, b in data.items()], {"text"}
        )
    assert "Köln;1200" in inlined(loaded.attachments[0])
    assert loaded.unread == (partly("odd.csv"),)


@pytest.mark.parametrize(("data", "read"), [(b"FROM debian", "FROM debian"), (b"\x00\x01\x02", "")])
async def test_a_file_of_an_undeclared_type_is_read_if_it_is_text(data: bytes, read: str) -> None:
    async with slack({"Dockerfile": data}) as (files, url):
        file = File("F1", "Dockerfile", "application/octet-stream", len(data), f"{url}Dockerfile")
        loaded = await files.load([file], {"text"})
    assert [each.text for each in loaded.attachments] == ([read] if read else [])
    assert bool(loaded.unread) is not bool(read)


async def test_a_picture_in_another_format_is_its_thumbnail() -> None:
    async with slack({"t.png": PNG}) as (files, url):
        shape = {"id": "F1", "name": "IMG.HEIC", "mimetype": "image/heic", "size": 9}
        heic = parse_file(shape | {"url_private": url + "x", "thumb_1024": url + "t.png"})
        loaded = await files.load([heic], {"image"})
        assert (loaded.attachments[0].mimetype, loaded.attachments[0].data) == ("image/png", PNG)
        plain = parse_file(shape | {"url_private": url + "x"})
        assert (await files.load([plain], {"image"})).unread == (f"IMG.HEIC ({UNREADABLE})",)


async def test_a_drawing_without_a_thumbnail_is_its_source() -> None:
    source = b"<svg><text>Sales</text></svg>"
    async with slack({"a.svg": source}) as (files, url):
        drawing = File("F1", "a.svg", "image/svg+xml", len(source), f"{url}a.svg")
        loaded = await files.load([drawing], {"image", "text"})
    assert "<text>Sales" in inlined(loaded.attachments[0])


async def test_a_canvas_is_read() -> None:
    html = b"<h1>Plan</h1><p>Ship it</p>"
    async with slack({"c.html": html}) as (files, url):
        canvas = File("F1", "Plan", "application/vnd.slack-docs", 3, url + "c.html")
        (attachment,) = (await files.load([canvas], {"text"})).attachments
    assert attachment.text == "# Plan\nShip it"


def clip(status: str, content: str = "", **fields: Any) -> dict[str, Any]:
    preview = {"content": content, "has_more": "vtt" in fields}
    transcription = {"status": status, "preview": preview}
    return {"name": "a.m4a", "mimetype": "audio/mp4", "transcription": transcription} | fields


async def test_a_voice_clip_is_read_as_soon_as_slack_has_transcribed_it() -> None:
    infos = [clip("processing"), clip("complete", "call the bank")]
    async with slack({}, infos) as (files, url):
        voice = File("F1", "a.m4a", "audio/mp4", 9, url + "a")
        (attachment,) = (await files.load([voice], {"text"})).attachments
    assert attachment.text == "call the bank"


async def test_a_long_voice_clip_is_read_completely() -> None:
    infos: list[dict[str, Any]] = []
    captions = b"WEBVTT\n\n00:00.000 --> 00:01.000\nall of it"
    async with slack({"v": captions}, infos) as (files, url):
        infos.append(clip("complete", "all", vtt=url + "v"))
        voice = File("F1", "a.m4a", "audio/mp4", 9, url + "a")
        (attachment,) = (await files.load([voice], {"text"})).attachments
    assert attachment.text == "all of it"


async def test_a_recording_without_a_transcript_is_named() -> None:
    async with slack({}, [{"name": "a.m4a"}]) as (files, url):
        voice = File("F1", "a.m4a", "audio/mp4", 9, url + "a")
        assert (await files.load([voice], {"text"})).unread == (f"a.m4a ({UNHEARD})",)


async def test_a_clip_whose_transcript_is_in_the_message_is_not_missed() -> None:
    async with slack({}) as (files, url):
        voice = File("F1", "a.m4a", "audio/mp4", 9, url + "a", transcribed=True)
        loaded = await files.load([voice], {"text"})
    assert (loaded.attachments, loaded.unread) == ((), ())


@pytest.mark.parametrize("url", ["https://[", "https://a℀b.slack.com/", "http://", "\x00", "/x"])
async def test_an_invalid_address_affects_only_its_file(url: str) -> None:
    async with slack({"ok.txt": b"fine"}) as (files, base):
        loaded = await files.load(
            [
                File("F1", "bad.txt", "text/plain", 1, url),
                File("F2", "ok.txt", "text/plain", 4, base + "ok.txt"),
            ],
            {"text"},
        )
    assert [each.text for each in loaded.attachments] == ["fine"]
    assert loaded.unread[0] in (f"bad.txt ({ELSEWHERE})", f"bad.txt ({NO_LUCK})")
