"""The routes of files, files of containers, and models."""

import secrets
from typing import Any, get_args

from aiohttp import web
from aiohttp.multipart import BodyPartReader
from openai.types.file_purpose import FilePurpose

from .answers import Json
from .errors import invalid, not_found
from .pages import page
from .state import State, StoredFile

_FIELDS = {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}
_SHORTEST, _LONGEST = 3600, 2_592_000


class Files:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        one = "/v1/files/{file_id}"
        return [
            web.post("/v1/files", self.create),
            web.get("/v1/files", self.list_files),
            web.get(one, self.retrieve),
            web.get(one + "/content", self.content),
            web.delete(one, self.delete),
            web.get("/v1/containers/{container_id}/files/{file_id}/content", self.container_file),
            web.get("/v1/models", self.list_models),
            web.get("/v1/models/{model}", self.retrieve_model),
        ]

    async def create(self, request: web.Request) -> web.Response:
        form, filename = await _read_form(request)
        purpose = form.get("purpose", b"").decode()
        if purpose not in get_args(FilePurpose):
            text = f"Invalid value: {purpose!r}. Supported values are: {get_args(FilePurpose)}."
            raise invalid(text, code="invalid_value", param="purpose")
        if "file" not in form:
            text = "Missing required parameter: 'file'."
            raise invalid(text, code="missing_required_parameter", param="file")
        now = self._state.now()
        seconds = _seconds(form)
        stored = StoredFile(
            id=f"file-{secrets.token_hex(12)}",
            filename=filename,
            content=form["file"],
            purpose=purpose,
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        self._state.files[stored.id] = stored
        return web.json_response(stored.as_json())

    async def list_files(self, request: web.Request) -> web.Response:
        files = [stored.as_json() for stored in self._state.files.values()]
        return web.json_response(page(files, request.query))

    async def retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).as_json())

    async def content(self, request: web.Request) -> web.Response:
        return _binary(self._find(request))

    async def delete(self, request: web.Request) -> web.Response:
        stored = self._find(request)
        del self._state.files[stored.id]
        return web.json_response({"id": stored.id, "object": "file", "deleted": True})

    async def container_file(self, request: web.Request) -> web.Response:
        container_id = request.match_info["container_id"]
        files = self._state.containers.get(container_id)
        if files is None:
            raise not_found("Container is expired.")
        stored = files.get(request.match_info["file_id"])
        if stored is None:
            raise not_found(f"Container file '{request.match_info['file_id']}' not found.")
        return _binary(stored)

    async def list_models(self, request: web.Request) -> web.Response:
        known = self._state.options.models or {}
        models = [_model(name, date) for name, date in known.items()]
        return web.json_response({"object": "list", "data": models})

    async def retrieve_model(self, request: web.Request) -> web.Response:
        name, known = request.match_info["model"], self._state.options.models
        if known is not None and name not in known:
            text = f"The model '{name}' does not exist"
            raise not_found(text, code="model_not_found", param="model")
        return web.json_response(_model(name, (known or {}).get(name)))

    def _find(self, request: web.Request) -> StoredFile:
        file_id = request.match_info["file_id"]
        if file_id not in self._state.files:
            raise not_found(f"No such File object: {file_id}", param="id")
        return self._state.files[file_id]


async def _read_form(request: web.Request) -> tuple[dict[str, bytes], str]:
    if not request.content_type.startswith("multipart/"):
        raise invalid("Files are uploaded as multipart/form-data.")
    form: dict[str, bytes] = {}
    filename = ""
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name = part.name or ""
        if name not in _FIELDS:
            text = f"Unknown parameter: '{name}'."
            raise invalid(text, code="unknown_parameter", param=name)
        form[name] = bytes(await part.read())
        filename = part.filename or filename
    return form, filename


def _seconds(form: dict[str, bytes]) -> int | None:
    if "expires_after[seconds]" not in form:
        return None
    seconds = int(form["expires_after[seconds]"])
    anchor = form.get("expires_after[anchor]", b"").decode()
    if anchor != "created_at" or not _SHORTEST <= seconds <= _LONGEST:
        text = f"Invalid 'expires_after': {_SHORTEST} to {_LONGEST} seconds after created_at."
        raise invalid(text, code="invalid_value", param="expires_after")
    return seconds


def _binary(stored: StoredFile) -> web.Response:
    return web.Response(body=stored.content, content_type="application/octet-stream")


def _model(name: str, shutdown_date: str | None) -> Json:
    model: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": 1_750_000_000,
        "owned_by": "openai",
    }
    return model if shutdown_date is None else {**model, "shutdown_date": shutdown_date}
