"""The pages that a person sees who installs the bot. No script, nothing from elsewhere."""

import html
from dataclasses import dataclass

from aiohttp import web

from bot.texts import install as texts

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}"
    "a.button{display:inline-block;background:#4a154b;color:#fff;padding:.6rem 1.2rem;"
    "border-radius:.3rem;text-decoration:none;font-weight:600}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A heading, a paragraph, and a link."""

    heading: str
    text: str
    label: str = ""
    link: str = ""
    status: int = 200

    def respond(self) -> web.Response:
        """The page as a response; every value is escaped."""
        heading, text, label, link = map(
            html.escape, (self.heading, self.text, self.label, self.link)
        )
        button = f'<p><a class="button" href="{link}">{label}</a></p>' if link else ""
        body = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
            f"<body><h1>{heading}</h1><p>{text}</p>{button}</body></html>"
        )
        return web.Response(
            text=body, status=self.status, content_type="text/html", headers=HEADERS
        )


def refused(reason: str, again: str, status: int = 400) -> Page:
    """Why an installation was refused, with a link to begin again."""
    return Page(texts.NOT_INSTALLED, reason, texts.TRY_AGAIN, again, status)
