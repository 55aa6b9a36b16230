"""The control API under `/_control/`: drives a fake that runs as a separate process.

Requests and responses are JSON. There is no key: the fake listens on loopback only.
"""

import random
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from aiohttp import web

from .answers import NAMED, Answer, Call, Json, Prompt, Said, Script, Tokens, as_answer, mixed
from .faults import Fault

if TYPE_CHECKING:
    from .server import FakeOpenAI


class Control:
    """Handlers over one fake."""

    def __init__(self, fake: "FakeOpenAI") -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_control/state", self.state),
            web.get("/_control/working", self.working),
            web.get("/_control/requests", self.requests),
            web.post("/_control/faults", self.add_fault),
            web.delete("/_control/faults", self.clear_faults),
            web.post("/_control/answer", self.set_answer),
            web.post("/_control/queue", self.queue_answers),
            web.post("/_control/finish", self.finish),
            web.post("/_control/cancel", self.cancel),
            web.post("/_control/vanish", self.vanish),
            web.post("/_control/options", self.set_options),
        ]

    async def state(self, request: web.Request) -> web.Response:
        """All objects of the server, and the responses and runs that were created."""
        fake = self._fake
        return web.json_response(
            {
                "assistant_id": fake.assistant_id,
                "conversations": {
                    conversation.id: {**conversation.as_json(), "items": conversation.items}
                    for conversation in fake.conversations.values()
                },
                "threads": {
                    thread.id: {**thread.as_json(), "messages": thread.messages}
                    for thread in fake.threads.values()
                },
                "responses": {work.id: work.body for work in fake.responses.values()},
                "runs": {work.id: work.body for work in fake.runs.values()},
                "created": {
                    path: fake.created(path)
                    for path in ("/conversations", "/responses", "/threads", "/threads/*/runs")
                },
            }
        )

    async def working(self, request: web.Request) -> web.Response:
        """How many responses and runs have not ended."""
        return web.json_response(len(self._fake.working))

    async def requests(self, request: web.Request) -> web.Response:
        """The record of requests from number `?start=` on."""
        start = int(request.query.get("start", "0"))
        return web.json_response([asdict(record) for record in self._fake.requests[start:]])

    async def add_fault(self, request: web.Request) -> web.Response:
        """Body: the fields of a `Fault`."""
        self._fake.faults.add(Fault(**await request.json()))
        return _done()

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._fake.faults.clear()
        return _done()

    async def set_answer(self, request: web.Request) -> web.Response:
        """Body: the fields of an `Answer`; or `{"name": ...}` of NAMED and fields that change it
        (`seconds` and `queued` may be `[least, most]`); or `{"mix": [{"weight": ..., ...}, ...]}`,
        drawn by `seed`."""
        self._fake.answer = _read_answer(await request.json())
        return _done()

    async def queue_answers(self, request: web.Request) -> web.Response:
        """Body: a list of what `answer` takes."""
        self._fake.queue.extend([_read_answer(entry) for entry in await request.json()])
        return _done()

    async def finish(self, request: web.Request) -> web.Response:
        """Body: `{"id": ...}` of a response or run (none: all) and, if wished, an `answer`."""
        body = await request.json()
        answer = body.get("answer")
        made = None if answer is None else _read_made_answer(answer)
        works = self._fake.working
        for work in works:
            if body.get("id") in (None, work.id):
                work.finish(made)
        return _done()

    async def cancel(self, request: web.Request) -> web.Response:
        """Body: `{"id": ...}` of a response or run: cancelled from outside."""
        wanted = (await request.json())["id"]
        for work in self._fake.working:
            if work.id == wanted:
                work.cancel()
        return _done()

    async def vanish(self, request: web.Request) -> web.Response:
        """Body: `{"id": ...}` of a conversation or thread."""
        self._fake.vanish((await request.json())["id"])
        return _done()

    async def set_options(self, request: web.Request) -> web.Response:
        """Body: fields of `Options`."""
        for name, value in (await request.json()).items():
            if not hasattr(self._fake.options, name):
                raise web.HTTPBadRequest(text=f"no such option: {name}")
            setattr(self._fake.options, name, value)
        return _done()


def _read_answer(given: Json) -> Answer | Script:
    if "mix" in given:
        choices = [dict(choice) for choice in given["mix"]]
        return mixed(
            [(choice.pop("weight"), _read_answer(choice)) for choice in choices],
            given.get("seed", 0),
        )
    if "name" not in given:
        return _read_made_answer(given)
    fields = _read_fields(given)
    script, chance = NAMED[fields.pop("name")], random.Random(given.get("seed", 0))
    fields.pop("seed", None)

    def answer(prompt: Prompt) -> Answer:
        drawn: Json = {
            name: chance.uniform(*value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return replace(as_answer(script(prompt)), **drawn)

    return answer


def _read_made_answer(given: Json) -> Answer:
    return Answer(**_read_fields(given))


def _read_fields(given: Json) -> Json:
    fields = dict(given)
    for name, kind in (("calls", Call), ("said", Said)):
        if name in fields:
            fields[name] = tuple(kind(**entry) for entry in fields[name])
    for name in ("annotations", "items", "files"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if "tokens" in fields:
        fields["tokens"] = Tokens(**fields["tokens"])
    return fields


def _done() -> web.Response:
    return web.json_response({"ok": True})
