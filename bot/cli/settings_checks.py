"""The checks of the settings for `bot doctor`: their file, the variables, the prices."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from bot import settings as setting
from bot.checks import Finding, Repair, failed, ok, skipped, warning
from bot.errors import ConfigError
from bot.settings import Settings
from bot.settings import env_file as env_files
from bot.settings.prices import find_price, load_prices

FIX_SETTING = "see .env.example, or docs/reference/settings.md"
NEARLY = 0.9
"""How similar two names must be for one to count as a typo of the other."""


def look_at_settings(env_file: Path | None) -> Finding:
    """Everything that is missing or wrong; otherwise variables whose name looks like a typo."""
    if env_file is not None and (found := look_at_file(env_file)):
        return found
    unknown = find_unknown(os.environ, env_file)
    doubtful = [f"unknown: {', '.join(unknown)}"] if unknown else []
    doubtful += find_repeated(env_file)
    if problems := setting.find_problems(env_file):
        words = [str(problem) for problem in problems]
        return _judge_problems("; ".join((*words, *doubtful)), env_file)
    settings = setting.read(env_file)
    if doubtful:
        fix = "fix the name or remove it" if unknown else "remove all lines but one"
        return warning("; ".join(doubtful), fix)
    if env_file is not None and env_file.exists() and not env_files.is_private(env_file):
        text = f"every user of this machine can read the secrets in {env_file}"
        return warning(text, f"chmod 600 {env_file}", _make_private(env_file))
    way = "Socket Mode" if settings.socket_mode else "HTTP"
    return ok(f"{len(settings.model_fields_set)} set; {settings.bot_engine} engine, {way}")


def look_at_file(env_file: Path) -> Finding | None:
    """The reason why `.env` cannot be read; None if it can, or if there is none."""
    path = env_file.absolute()
    if env_file.is_dir():
        return failed(f"{path} is a folder", "put the settings into a file of that name")
    if not env_file.exists():
        return None
    try:
        encoding = env_files.detect_encoding(env_file.read_bytes())
    except OSError as error:
        return failed(f"{path} cannot be read: {error.strerror}", "check its owner and mode")
    if encoding == "utf-8":
        return _look_at_lines(env_file)
    fix = "save it as UTF-8, or run `bot doctor --fix`"
    return failed(f"{path} is {encoding.upper()} text, not UTF-8", fix, _convert(env_file))


def _look_at_lines(env_file: Path) -> Finding | None:
    """The first line that is not `NAME=value`, such as one whose quote is never closed."""
    with env_file.open(encoding="utf-8-sig") as stream:
        wrong = next((each for each in parse_stream(stream) if each.error), None)
    if wrong is None:
        return None
    text = f"line {_line_of(wrong)} of {env_file.absolute()} cannot be read"
    return failed(text, "write NAME=value; a value that begins with a quote also ends with one")


def _line_of(binding: Binding) -> int:
    """The number of its line; the parser counts from the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _judge_problems(text: str, env_file: Path | None) -> Finding:
    given = {**(env_files.values(env_file) if env_file else {}), **os.environ}
    bot_token, app_token = given.get("SLACK_BOT_TOKEN", ""), given.get("SLACK_APP_TOKEN", "")
    if bot_token.startswith("xapp-") and app_token.startswith("xoxb-"):
        swapped = {"SLACK_BOT_TOKEN": app_token, "SLACK_APP_TOKEN": bot_token}
        repair = env_files.set_variables(swapped, done="swapped the two tokens")
        return failed(text, "swap the values of SLACK_BOT_TOKEN and SLACK_APP_TOKEN", repair)
    if env_file is None or env_file.exists() or bot_token:
        return failed(text, FIX_SETTING)
    here = env_file.absolute().parent
    text = f"{text}; there is no .env in {here}"
    if other := env_files.find_elsewhere(here):
        return failed(f"{text}, but one in {other.parent}", f"start `bot` in {other.parent}")
    return failed(text, "`bot init` writes one; or start `bot` in the folder of yours")


def _convert(env_file: Path) -> Repair:
    async def repair() -> str:
        return f"rewrote {env_file} as UTF-8; it was {env_files.convert_to_utf8(env_file).upper()}"

    return repair


def _make_private(env_file: Path) -> Repair:
    async def repair() -> str:
        env_files.make_private(env_file)
        return f"chmod 600 {env_file}"

    return repair


def look_at_prices(settings: Settings) -> Finding:
    """Whether the price of the model is known: without it limits in dollars are never reached."""
    if settings.bot_prices is None:
        return skipped("no BOT_PRICES: tokens are counted, money is not")
    try:
        prices = load_prices(settings.bot_prices)
    except ConfigError as error:
        return failed(str(error), "see examples/prices.toml")
    model = settings.openai_model
    if settings.bot_engine == "assistants" and "openai_model" not in settings.model_fields_set:
        return ok(f"of {len(prices)} models; which one answers is the assistant's choice")
    if find_price(prices, model) is None:
        limited = settings.bot_limit_person_cost or settings.bot_limit_channel_cost
        judge = failed if limited else warning
        return judge(f"{model} has none: it counts as free", f"add [{model}] to BOT_PRICES")
    return ok(f"of {len(prices)} models, {model} among them")


def find_unknown(environment: Mapping[str, str], env_file: Path | None) -> list[str]:
    """Variables that the bot does not read, each with the one that was probably meant.

    These are variables with our prefix and, in the file, also those with a name similar to that of
    a setting.
    """
    known = [name.upper() for name in Settings.model_fields]
    in_file = dotenv_values(env_file) if env_file and env_file.exists() else {}
    unknown = {name for name in (*environment, *in_file) if name.startswith("BOT_")} - set(known)
    unknown |= {name for name in in_file.keys() - set(known) if _guess(name, known, NEARLY)}
    return [_with_guess(name, known) for name in sorted(unknown)]


def find_repeated(env_file: Path | None) -> list[str]:
    """Variables that the file sets more than once, each with its lines: the last one counts."""
    if env_file is None or not env_file.exists():
        return []
    lines: dict[str, list[int]] = {}
    with env_file.open(encoding="utf-8-sig") as stream:
        for each in parse_stream(stream):
            if each.key:
                lines.setdefault(each.key, []).append(_line_of(each))
    return [
        f"{name} is set more than once, in the lines {', '.join(map(str, at))}: the last one counts"
        for name, at in lines.items()
        if len(at) > 1
    ]


def _with_guess(name: str, known: Iterable[str]) -> str:
    near = _guess(name, known, 0.75)
    return f"{name} ({near}?)" if near else name


def _guess(name: str, known: Iterable[str], cutoff: float) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), "")
