"""`python -m bot.cli.generate`: write the files that are generated from the code."""

from pathlib import Path

from bot.cli.reference import render_pages
from bot.slack.manifest import render_manifest
from bot.store.families import render_families

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
KEYS_HEAD = "| key |"


def main() -> None:
    """Write manifest.yml, the pages of the reference, and the table of Redis keys."""
    (ROOT / "manifest.yml").write_text(render_manifest())
    for name, text in render_pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    page = ROOT / "docs" / "architecture.md"
    page.write_text(with_table(page.read_text(), KEYS_HEAD, render_families()))


def with_table(page: str, head: str, table: str) -> str:
    """The page with the table that begins with `head` replaced by this one."""
    before, _, rest = page.partition(head)
    after = rest.partition("\n\n")[2]
    return f"{before}{table}\n\n{after}"


if __name__ == "__main__":
    main()
