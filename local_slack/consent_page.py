"""Slack's page on which a person allows an app to come into a workspace."""

from collections.abc import Mapping, Sequence
from html import escape

from aiohttp import web

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f7f8f7, #181d1d);
  color: light-dark(#1c2321, #dfe6e4); }
main { max-width: 30rem; margin: 10vh auto; padding: 2rem; border-radius: 12px;
  background: light-dark(#fff, #1f2525); border: 1px solid light-dark(#e1e5e3, #2d3636); }
h1 { margin: 0 0 1rem; font-size: 1.35rem; line-height: 1.3; }
details { margin: 1rem 0; } summary { cursor: pointer; }
code { font-size: .9em; }
p { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 0; }
a { padding: .5rem 1.1rem; border-radius: 6px; font-weight: 600; text-decoration: none;
  color: inherit; border: 1px solid light-dark(#c8cfcc, #455252); }
a.allow { background: light-dark(#1f6f66, #3f9c90); color: light-dark(#fff, #06201d);
  border-color: transparent; }
"""


def consent_page(choices: Mapping[str, str], scopes: Sequence[str], cancel: str) -> web.Response:
    """The page. `choices` are the query strings by the names of the workspaces."""
    several = len(choices) != 1
    allow = "".join(
        f'<a class="allow" href="?{escape(query)}">'
        f"{escape(f'Allow in {name}' if several else 'Allow')}</a>"
        for name, query in choices.items()
    )
    where = "a workspace" if several else next(iter(choices))
    title = escape(f"The app asks for access to {where}")
    rows = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"This is the local Slack: nothing leaves your machine."
        f"<details><summary>{len(scopes)} scopes</summary><ul>{rows}</ul></details>"
        f'<p>{allow}<a href="{escape(cancel)}">Cancel</a></p></main></body></html>'
    )
    return web.Response(text=text, content_type="text/html", headers=HEADERS)
