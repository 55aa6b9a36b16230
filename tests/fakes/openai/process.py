"""The fake as a separate process, with a client of its control API."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from .answers import Json
from .faults import FaultKind

_ROOT = Path(__file__).resolve().parents[3]


class RemoteFake:
    """A fake in another process; the arguments are those of `/_control/`."""

    api_key = "sk-fake"

    def __init__(self, base_url: str, session: aiohttp.ClientSession, pid: int) -> None:
        self.base_url = base_url
        self.pid = pid
        self._control = base_url.removesuffix("/v1") + "/_control"
        self._session = session

    async def state(self) -> Json:
        state: Json = await self._call("GET", "/state")
        return state

    async def working(self) -> int:
        """How many responses and runs have not ended."""
        return int(await self._call("GET", "/working"))

    async def requests(self, start: int = 0) -> list[Json]:
        """The record of requests from number `start` on."""
        requests: list[Json] = await self._call("GET", f"/requests?start={start}")
        return requests

    async def fault(
        self, kind: FaultKind, method: str = "*", path: str = "**", **fields: Any
    ) -> None:
        """Switches a fault on; `fields` are those of `Fault`."""
        fault = {"kind": kind, "method": method, "path": path, **fields}
        await self._call("POST", "/faults", fault)

    async def clear_faults(self) -> None:
        await self._call("DELETE", "/faults")

    async def answer(self, **fields: Any) -> None:
        """Sets the answer: the fields of an `Answer`; `name=` one of NAMED, with fields that change
        it (`seconds=[0.1, 2]` is drawn); or `mix=[{"weight": 9, "name": "echo"}, ...], seed=`."""
        await self._call("POST", "/answer", fields)

    async def queue(self, *answers: Json) -> None:
        await self._call("POST", "/queue", list(answers))

    async def finish(self, object_id: str | None = None, answer: Json | None = None) -> None:
        await self._call("POST", "/finish", {"id": object_id, "answer": answer})

    async def cancel(self, object_id: str) -> None:
        await self._call("POST", "/cancel", {"id": object_id})

    async def vanish(self, object_id: str) -> None:
        await self._call("POST", "/vanish", {"id": object_id})

    async def options(self, **fields: Any) -> None:
        await self._call("POST", "/options", fields)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self._control + path, json=body) as response:
            response.raise_for_status()
            return await response.json()


@asynccontextmanager
async def start_fake_openai(
    *, variant: str = "openai", seed: int = 0, port: int = 0
) -> AsyncIterator[RemoteFake]:
    """Starts `python -m tests.fakes.openai` and stops it at the end."""
    arguments = ["--variant", variant, "--seed", str(seed), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fakes.openai",
        *arguments,
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        base_url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session:
            yield RemoteFake(base_url, session, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
