"""MCP servers that send what the SDK's own servers cannot: bad schemas and results, floods."""

import asyncio
import gzip
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import web
from mcp_types import InputRequiredResult

from bot.tools import bounds
from bot.tools.accepted_schema import accepted_schema
from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.http import McpTransport
from bot.tools.names import name_functions
from bot.tools.output import checked_schema, one_line
from bot.tools.results import input_required
from bot.tools.tool import Tool, ToolResult
from bot.tools.toolbox import open_toolbox
from tests.tools.test_mcp import CALLER
from tests.tools.test_redirects import serving
from tests.world import wait_until

SCHEMA = {"type": "object", "properties": {}}
PLAIN = json.dumps({"tools": [{"name": "a", "inputSchema": SCHEMA}]})


@asynccontextmanager
async def hostile(result: Any = None, listed: str = PLAIN) -> AsyncIterator[str]:
    """A server of the revision 2025-11-25 that answers with this result, and this text as list."""

    answer = json.dumps(result)

    async def handle(request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        message = await request.json()
        id, method = message.get("id"), message.get("method")
        if id is None:
            return web.Response(status=202)
        if method == "server/discover":
            error = {"code": -32601, "message": "no"}
            return web.json_response({"jsonrpc": "2.0", "id": id, "error": error})
        if method == "initialize":
            info, can = {"name": "h", "version": "1"}, dict[str, Any](tools={})
            found = {"protocolVersion": "2025-11-25", "capabilities": can, "serverInfo": info}
        else:
            body = listed if method == "tools/list" else answer
            text = f'{{"jsonrpc":"2.0","id":{json.dumps(id)},"result":{body}}}'
            return web.Response(text=text, content_type="application/json")
        return web.json_response({"jsonrpc": "2.0", "id": id, "result": found})

    async with serving(handle) as url:
        yield f"{url}/mcp"


async def call(url: str) -> ToolResult:
    config = ServerConfig(url=url, timeout=60.0)
    async with open_toolbox(ToolsConfig(servers={"s": config})) as toolbox:
        tool = (await toolbox.offer("C1")).functions["s__a"]
        return await toolbox.call(tool, {}, CALLER)


async def test_a_result_is_not_checked_against_patterns_of_the_server() -> None:
    """The check would take hours, on the event loop."""
    shape = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    tool = {"name": "a", "inputSchema": SCHEMA, "outputSchema": shape}
    found = {"content": [], "structuredContent": {"x": "a" * 60 + "!"}}
    async with hostile(found, json.dumps({"tools": [tool]})) as url:
        result = await call(url)
    assert (result.outcome, result.is_error) == ("done", False)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"isError": True, "content": []}, "[no output]"),
        ({"content": [], "structuredContent": {"a": [1]}}, '{"a": [1]}'),
        ({"content": [{"type": "hologram"}]}, "unknown form"),
        ({"content": [{"type": "text", "text": 5}]}, "unknown form"),
        ({}, "unknown form"),
    ],
)
async def test_a_call_with_an_odd_result_was_made(found: Any, text: str) -> None:
    async with hostile(found) as url:
        result = await call(url)
    assert result.outcome == "done"
    assert text in result.text


FLOODS: dict[str, Any] = {
    "blocks": {"content": [{"type": "text", "text": ""}] * (bounds.MOST_OBJECTS - 10)},
    "too many blocks": {"content": [{"type": "text", "text": ""}] * 3 * bounds.MOST_OBJECTS},
    "lists": {"content": [], "structuredContent": {"x": [[]] * 1_000_000}},
    "numbers": {"content": [], "structuredContent": {"x": [1] * 1_900_000}},
    "text": {"content": [{"type": "text", "text": "line {[,\n" * 700_000}]},
    "escapes": {"content": [{"type": "text", "text": "\x00" * 1_000_000}]},
    "too much text": {"content": [{"type": "text", "text": "x" * 9_000_000}]},
}
REFUSED = ("too many blocks", "lists", "numbers", "too much text")


PROCESS = """
import json, os, sys
open(sys.argv[1] + ".pid", "w").write(str(os.getpid()))
tool = {"name": "a", "inputSchema": {"type": "object"}}
info = {"name": "h", "version": "1"}
first = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
known = {"initialize": first, "tools/list": {"tools": [tool]}}
print("starting", "{", sep="\\n")
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    text = json.dumps(known.get(asked["method"]))
    if asked["method"] == "tools/call":
        text = open(sys.argv[1]).read()
    elif text == "null":
        error = json.dumps({"code": -32601, "message": "no"})
        print(f'{{"jsonrpc":"2.0","id":{json.dumps(asked["id"])},"error":{error}}}', flush=True)
        continue
    print(f'{{"jsonrpc":"2.0","id":{json.dumps(asked["id"])},"result":{text}}}', flush=True)
"""
"""A server over stdio whose result of a call is in a file; it prints other lines, too."""


@asynccontextmanager
async def flooding(way: str, found: Any, directory: Path) -> AsyncIterator[ToolsConfig]:
    """A configured server with this result, over HTTP or as a process."""
    if way == "http":
        async with hostile(found) as url:
            yield ToolsConfig(servers={"s": ServerConfig(url=url)})
    else:
        (directory / "found").write_text(json.dumps(found))
        args = ("-c", PROCESS, str(directory / "found"))
        yield ToolsConfig(servers={"s": ServerConfig(command=sys.executable, args=args)})


async def longest_stall(work: Coroutine[Any, Any, ToolResult]) -> tuple[float, ToolResult]:
    """The most CPU seconds between two turns of the event loop, and the result."""
    task, longest = asyncio.create_task(work), 0.0
    while not task.done():
        began = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - began)
    return longest, task.result()


@pytest.mark.parametrize(
    ("way", "name"),
    [*(("http", name) for name in FLOODS), ("stdio", "text"), ("stdio", "too much text")],
)
async def test_a_flood_does_not_block_the_process(way: str, name: str, tmp_path: Path) -> None:
    async with flooding(way, FLOODS[name], tmp_path) as config, open_toolbox(config) as toolbox:
        tool = (await toolbox.offer("C1")).functions["s__a"]
        longest, result = await longest_stall(toolbox.call(tool, {}, CALLER))
        assert longest < 0.1, "some 20 ms where nothing else runs"
        assert result.is_error == (name in REFUSED), result
        assert len(result.text) < 21_000
        again = await toolbox.call(tool, {}, CALLER)
        assert again.outcome == result.outcome, "the connection is usable or made again"


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("excess", [0, 1])
def test_objects_are_counted_however_a_text_is_cut(size: int, excess: int) -> None:
    """A comment in an event stream may have a single quotation mark."""
    lists = b"[],\r\n" * (bounds.MOST_OBJECTS - 2 + excess)
    text = b': a "\n\ndata: {"a\\\\\\"[[": [' + lists + b'"{,\\"{"]}'
    counter = bounds.JsonCounter()
    problems = {counter.add(text[at : at + size]) for at in range(0, len(text), size)}
    assert any(problems) == bool(excess)


async def test_a_response_has_no_encoding_that_hides_its_size() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        if request.path == "/compressed":
            body = gzip.compress(b"[" * bounds.LARGEST_BODY)
            return web.Response(body=body, headers={"Content-Encoding": "gzip"})
        return web.Response(body=b"+AHs-", content_type="text/event-stream", charset="utf-7")

    async with serving(handle) as url, httpx2.AsyncClient(transport=McpTransport()) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"{url}/compressed")
        assert (await client.get(f"{url}/utf-7")).text == "+AHs-"


async def test_a_server_that_ended_between_two_calls_is_started_again(tmp_path: Path) -> None:
    """The second call was not sent to the old process, so its outcome is not unknown."""
    found = {"content": [{"type": "text", "text": "made"}]}
    async with flooding("stdio", found, tmp_path) as config, open_toolbox(config) as toolbox:
        tool = (await toolbox.offer("C1")).functions["s__a"]
        assert (await toolbox.call(tool, {}, CALLER)).text == "made"
        pid = (tmp_path / "found.pid").read_text()
        os.kill(int(pid), signal.SIGKILL)

        async def is_noticed() -> bool:
            return not toolbox._servers["s"].is_connected

        await wait_until(is_noticed)
        assert (await toolbox.call(tool, {}, CALLER)).text == "made"
        assert (tmp_path / "found.pid").read_text() != pid


LISTS = {
    "nan": '{"type":"object","properties":{"x":{"default":NaN}}}',
    "infinity": '{"type":"object","properties":{"x":{"maximum":1e999}}}',
    "type": '{"type":"object","properties":{"x":{"type":"banana"}}}',
    "types": '{"type":"object","properties":{"x":{"type":[1]}}}',
    "required": '{"type":"object","properties":{"x":{"required":"y"}}}',
    "enum": '{"type":"object","properties":{"x":{"enum":[]}}}',
    "items": '{"type":"object","properties":{"x":{"items":3}}}',
    "any": '{"type":"object","properties":{"x":{"anyOf":{}}}}',
    "inner": '{"type":"object","properties":{"x":{"properties":[]}}}',
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_schema_that_an_ai_server_refuses_is_replaced(name: str) -> None:
    """Otherwise each answer in the channel would fail."""
    listed = f'{{"tools":[{{"name":"a","inputSchema":{LISTS[name]}}}]}}'
    async with hostile(listed=listed) as url:
        config = ServerConfig(url=url)
        async with open_toolbox(ToolsConfig(servers={"s": config})) as toolbox:
            tool = (await toolbox.offer("C1")).functions["s__a"]
    assert tool.parameters == SCHEMA


def test_a_schema_that_is_too_deep_is_replaced_and_sound_ones_are_kept() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    assert checked_schema(deep) == SCHEMA
    sound = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}], "default": None},
            "b": {"type": "array", "items": {"$ref": "#/$defs/c"}, "prefixItems": [True]},
            "d": {"enum": [1, None], "additionalProperties": False},
        },
        "$defs": {"c": {"properties": {"next": {"$ref": "#/$defs/c"}}}},
        "required": ["a"],
    }
    assert checked_schema(sound) == sound


TEXT = {"type": "string"}
ALTERNATIVES = [{"properties": {"b": TEXT}, "required": ["b"]}, {"$ref": "#/$defs/c"}]


@pytest.mark.parametrize(
    ("listed", "accepted"),
    [
        ({"items": {"type": "array"}}, {"items": {"type": "array", "items": {}}}),
        ({"type": ["array", "null"]}, {"type": ["array", "null"], "items": {}}),
        ({"anyOf": [{"type": "array"}, TEXT]}, {"anyOf": [{"type": "array", "items": {}}, TEXT]}),
        ({"$ref": "#/$defs/none", "title": "x"}, {"title": "x"}),
        ({"$ref": "https://example.com/schema"}, {}),
        ({"pattern": "(", "maxLength": -1, "title": 5, "format": "date"}, {"format": "date"}),
        ({"required": ["a", "a"]}, {"required": ["a"]}),
        ({"if": {"type": "banana"}}, {"if": {}}),
    ],
)
def test_keywords_that_ai_servers_refuse_are_left_out(listed: Any, accepted: Any) -> None:
    root = {"type": "object", "properties": {"x": listed}}
    assert accepted_schema(root) == {"type": "object", "properties": {"x": accepted}}


@pytest.mark.parametrize(("key", "required"), [("anyOf", ["a"]), ("allOf", ["a", "b"])])
def test_alternatives_at_the_top_level_become_properties(key: str, required: list[str]) -> None:
    definitions = {"c": {"type": "object", "properties": {"c": TEXT}}}
    own = {"type": "object", "properties": {"a": TEXT}, "$defs": definitions}
    made = accepted_schema({**own, "required": ["a"], key: ALTERNATIVES, "not": {}})
    properties = {"a": TEXT, "b": TEXT, "c": TEXT}
    assert made == {**own, "properties": properties, "required": required}


def test_a_schema_that_ai_servers_accept_stays_as_it_is() -> None:
    root = {"type": "object", "properties": {"x": {"$ref": "#/$defs/y"}}, "$defs": {"y": TEXT}}
    assert accepted_schema(root) is root


async def test_the_model_gets_the_accepted_schema_and_approvals_keep_the_listed_one() -> None:
    root = {"type": "object", "properties": {"x": {"type": "array"}}}
    listed = json.dumps({"tools": [{"name": "a", "inputSchema": root}]})
    async with hostile(listed=listed) as url:
        config = ToolsConfig(servers={"s": ServerConfig(url=url)})
        async with open_toolbox(config) as toolbox:
            (tool,) = await toolbox.list_server("s")
    assert tool.parameters == root
    assert tool.offered_parameters["properties"] == {"x": {"type": "array", "items": {}}}


def test_no_tool_takes_the_name_of_another_one() -> None:
    """A server that knows the hash of another server's function names a tool after it."""
    victims = [Tool("c", "", {}, server="a__b"), Tool("b__c", "", {}, server="a")]
    taken = next(name for name, tool in name_functions(victims).items() if tool is victims[0])
    thief = Tool(taken.removeprefix("a__"), "", {}, server="a")
    named = name_functions([*victims, thief])
    assert named[taken] is victims[0]
    assert len(named) == 3


def test_a_question_that_is_too_long_is_not_kept() -> None:
    """The journal would hold it until a person answers."""
    for state, outcome in (("x" * 100_000, "input_required"), ("x" * 300_000, "not_run")):
        result = input_required(InputRequiredResult(request_state=state))
        assert (result.outcome, bool(result.request)) == (outcome, outcome == "input_required")


async def test_tools_with_names_that_the_protocol_forbids_are_left_out() -> None:
    names = ["", "a", "b" * 128, "c" * 129, "d" * 1_000_000]
    listed = json.dumps({"tools": [{"name": name, "inputSchema": SCHEMA} for name in names]})
    async with hostile(listed=listed) as url:
        config = ToolsConfig(servers={"s": ServerConfig(url=url)})
        async with open_toolbox(config) as toolbox:
            assert [tool.name for tool in await toolbox.list_server("s")] == ["a", "b" * 128]


def test_a_title_is_one_line_without_hidden_characters() -> None:
    title = "Read\n<!channel>\u202e\x00 \u200btext" + "x" * 9_000_000
    assert one_line(title, 25) == "Read <!channel> textxxxxx"


async def test_lists_without_end_are_cut_off() -> None:
    page = {"tools": [{"name": "a", "inputSchema": SCHEMA}], "nextCursor": "again"}
    async with hostile(listed=json.dumps(page)) as url:
        config = ServerConfig(url=url)
        async with asyncio.timeout(60), open_toolbox(ToolsConfig(servers={"s": config})) as toolbox:
            assert set((await toolbox.offer("C1")).functions) == {"s__a"}
