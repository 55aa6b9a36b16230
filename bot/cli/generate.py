"""`python -m bot.cli.generate`: write the files that are generated from the code."""

from pathlib import Path

from bot.settings import render_table
from bot.slack.manifest import render_manifest
from bot.store.keys import render_families

ROOT = Path(__file__).parents[2]
TABLE_HEAD = "| variable |"
KEYS_HEAD = "| key |"


def main() -> None:
    """Write manifest.yml, the README's table of settings and the table of Redis keys."""
    (ROOT / "manifest.yml").write_text(render_manifest())
    for path, head, table in (
        ("README.md", TABLE_HEAD, render_table()),
        ("docs/architecture.md", KEYS_HEAD, render_families()),
    ):
        page = ROOT / path
        page.write_text(with_table(page.read_text(), head, table))


def with_table(page: str, head: str, table: str) -> str:
    """The page with the table that begins with `head` replaced by this one."""
    before, _, rest = page.partition(head)
    after = rest.partition("\n\n")[2]
    return f"{before}{table}\n\n{after}"


if __name__ == "__main__":
    main()
