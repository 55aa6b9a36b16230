"""Pages that the app adds to the page of the workspace: tables, opened from the sidebar."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from html import escape

from local_slack.workspace.model import Json

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{title}</title>
    <link rel="icon" href="/_page/favicon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/_page/css/colours.css">
    <link rel="stylesheet" href="/_page/css/app_page.css">
    <script type="module" src="/_page/js/app_page.js"></script>
  </head>
  <body>
    <main>
      <h1>{title}</h1>
      <p>{about}</p>
      <div class="table" tabindex="0" role="region" aria-label="{title}"><table>
        <thead><tr>{columns}</tr></thead>
        <tbody>{rows}</tbody>
      </table></div>
    </main>
  </body>
</html>
"""


@dataclass(frozen=True)
class Table:
    """The content of a page. `about` is the text above the rows."""

    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class AppPage:
    """A page at `/_app/{name}`; `read` returns what it shows now."""

    name: str
    title: str
    read: Callable[[], Awaitable[Table]]

    def as_json(self) -> Json:
        return {"name": self.name, "title": self.title}


async def render(page: AppPage) -> str:
    """The page as HTML."""
    table = await page.read()
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return _PAGE.format(
        title=escape(page.title), about=escape(table.about), columns=columns, rows=rows
    )
