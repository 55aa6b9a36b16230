"""`python -m bot.generate`: write the files anew that follow from the code."""

from pathlib import Path

from bot.settings import render_table
from bot.slack.manifest import render_manifest

ROOT = Path(__file__).parents[2]
TABLE_HEAD = "| variable |"


def main() -> None:
    """Write manifest.yml, and the README's table of settings."""
    (ROOT / "manifest.yml").write_text(render_manifest())
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text()))


def with_table(readme: str) -> str:
    """The README with its table of settings in the place of the old one."""
    before, _, rest = readme.partition(TABLE_HEAD)
    after = rest.partition("\n\n")[2]
    return f"{before}{render_table()}\n\n{after}"


if __name__ == "__main__":
    main()
