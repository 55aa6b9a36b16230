"""Serves the page: static files; the data comes from the control API."""

from pathlib import Path
from typing import Final

from aiohttp import web

from local_slack.app_pages import render
from local_slack.control.guard import PageGuard
from local_slack.local_slack import LocalSlack

FOLDER = Path(__file__).parents[1] / "page"
# mimetypes reads the machine's tables, which disagree about JavaScript.
TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
LOCKED = "Open the address that was printed at the start: it holds the key to this page.\n"


def add_routes(app: web.Application, slack: LocalSlack) -> None:
    page = WebPage(slack)
    app.router.add_get("/", page.index)
    app.router.add_get("/_app/{name}", page.app_page)
    app.router.add_get("/_page/files/{file}", page.file)
    app.router.add_get("/_page/{path:.+}", page.asset)


def page_url(slack: LocalSlack) -> str:
    """The address for a browser, with the token in it."""
    return f"{slack.base_url}/?token={slack.control_token}"


class WebPage:
    """The handlers of the page, its assets and shared files."""

    def __init__(self, slack: LocalSlack) -> None:
        self._slack = slack
        self._guard = PageGuard(slack)

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The page. A token in the address moves into a cookie, out of sight."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if "token" in request.query:
            response = web.Response(status=303, headers=HEADERS | {"Location": "/"})
            response.set_cookie(
                self._guard.cookie, self._slack.control_token, httponly=True, samesite="Strict"
            )
            return response
        return _serve(FOLDER / "index.html")

    async def asset(self, request: web.Request) -> web.StreamResponse:
        path = (FOLDER / request.match_info["path"]).resolve()
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if not path.is_relative_to(FOLDER) or path.suffix not in TYPES or not path.is_file():
            return web.Response(status=404, headers=HEADERS)
        return _serve(path)

    async def app_page(self, request: web.Request) -> web.StreamResponse:
        """A page that the app has added."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        page = self._slack.pages.get(request.match_info["name"])
        if page is None:
            return web.Response(status=404, headers=HEADERS)
        return web.Response(text=await render(page), content_type="text/html", headers=HEADERS)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A shared file: images are displayed, all others downloaded."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        file = self._slack.workspace.files.get(request.match_info["file"])
        if file is None or not file.complete:
            return web.Response(status=404, headers=HEADERS)
        shown = file.mimetype in SHOWN
        headers = HEADERS | {"Content-Security-Policy": "sandbox; default-src 'none'"}
        if not shown:
            headers["Content-Disposition"] = "attachment"
        kind = file.mimetype if shown else "application/octet-stream"
        return web.Response(body=file.content, content_type=kind, headers=headers)

    def _refusal(self, request: web.Request) -> web.Response | None:
        refusal = self._guard.refuse(request)
        if refusal is None:
            return None
        return web.Response(status=refusal.status, text=LOCKED, headers=HEADERS)


def _serve(path: Path) -> web.Response:
    return web.Response(
        body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8", headers=HEADERS
    )
