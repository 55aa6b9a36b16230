"""`bot init`: asks for the settings of a deployment, checks each answer, and writes `.env`."""

import asyncio
import re
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import click
import yaml

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot import settings as setting
from bot.checks import Check
from bot.cli import doctor
from bot.cli.settings_checks import look_at_file
from bot.errors import ConfigError
from bot.settings import Settings
from bot.settings import env_file as env_files
from bot.slack import manifest as manifests
from bot.slack.app_manifest import AppManifests, keep_names
from bot.slack.manifest import LONGEST_NAME

APPS = "https://api.slack.com/apps"
EXAMPLE = Path(".env.example")
MANIFEST = Path("slack-manifest.yml")
STAND_IN = "xoxb-not-known-yet"

T = TypeVar("T")
Opener = Callable[[Settings], AbstractAsyncContextManager[Collection[Check]]]


class Wizard:
    """One run of `bot init`. Existing values of `.env` are the defaults."""

    def __init__(self, env_file: Path) -> None:
        if found := look_at_file(env_file):
            raise click.ClickException(f"{found.text}: {found.fix}")
        self._file = env_file
        self._before = _valid(env_files.values(env_file))
        self._answers: dict[str, str] = {}
        self._app_id = ""

    def run(self) -> None:
        """Ask, write, and end with the doctor. Ctrl-C leaves `.env` as it was."""
        click.echo("This writes .env. Enter keeps what is in brackets; Ctrl-C changes nothing.\n")
        self._ask_for_transport()
        self._ask_for_app()
        self._ask_for_tokens()
        self._ask_for_model()
        self._ask_for_redis()
        self._write()
        click.echo("\nChecks of bot doctor:\n")
        lines = asyncio.run(
            doctor.examine(self._file, url=self._get("BOT_PUBLIC_URL"), release=False, report=_show)
        )
        done = "Start the bot with `bot run`, then mention it in Slack."
        click.echo("\n" + ("See above for what to fix." if doctor.has_failed(lines) else done))

    # The questions

    def _ask_for_transport(self) -> None:
        click.echo("Slack can reach the bot through a socket that the bot opens, or at an address.")
        http = bool(self._get("SLACK_SIGNING_SECRET")) and not self._get("SLACK_APP_TOKEN")
        if not click.confirm("Does this machine have a public https address?", default=http):
            return
        while True:
            url = self._prompt("BOT_PUBLIC_URL", "Its address, like https://bot.example.com")
            if url.startswith("https://") and not self._problem("BOT_PUBLIC_URL", url):
                break
            click.echo("Slack sends to https addresses only.")
        self._answers |= {"BOT_PUBLIC_URL": url.rstrip("/"), "SLACK_APP_TOKEN": ""}

    def _ask_for_app(self) -> None:
        click.echo(f"\nThe Slack app: {APPS}")
        if click.confirm("Does the app exist already?", default=bool(self._get("SLACK_BOT_TOKEN"))):
            self._offer_update()
            return
        name = _ask_for_name()
        prefix = self._ask_for_prefix()
        manifest = manifests.manifest(self._url, name, prefix)
        created = self._with_config_token(
            "make the app", lambda apps: asyncio.run(apps.create(manifest))
        )
        if created is None:
            click.echo(f"Choose Create New App → From a manifest, and paste {MANIFEST.absolute()}.")
            MANIFEST.write_text(manifests.render_manifest(self._url, name, prefix))
            return
        self._app_id = created.id
        if self._url and created.signing_secret:
            self._answers["SLACK_SIGNING_SECRET"] = created.signing_secret
        click.echo(f"Created {name}. Install it: {APPS}/{created.id}/install-on-team")

    def _offer_update(self) -> None:
        found = re.match(r"xapp-\d+-(A[A-Z0-9]+)-", self._get("SLACK_APP_TOKEN"))
        known = found[1] if found else ""

        def update(apps: AppManifests) -> str:
            app_id = known or click.prompt("App ID (Basic Information)")
            theirs = asyncio.run(apps.export(app_id))
            prefix = self._get("BOT_COMMAND_PREFIX")
            ours = keep_names(manifests.manifest(self._url, prefix=prefix), theirs)
            difference = manifests.diff_manifest(yaml.safe_dump(theirs), "the app's own", ours)
            if not difference:
                return "The app's manifest is up to date."
            click.echo(difference, nl=False)
            if not click.confirm("Update the app?", default=True):
                return "The app is unchanged."
            reinstall = asyncio.run(apps.update(app_id, ours))
            page = f"{APPS}/{app_id}/install-on-team"
            return f"Updated. Reinstall it for its new scopes: {page}" if reinstall else "Updated."

        if outcome := self._with_config_token("compare its manifest", update):
            click.echo(outcome)

    def _with_config_token(self, what: str, use: Callable[[AppManifests], T]) -> T | None:
        """Ask for the token until `use` works with one; None if the person has none."""
        while True:
            token = click.prompt(
                f"Configuration token to {what} (Your App Configuration Tokens; Enter: without)",
                default="",
                show_default=False,
                hide_input=True,
            )
            if not token.strip():
                return None
            try:
                return use(AppManifests(token.strip(), self._settings().slack_api_url))
            except ConfigError as error:
                click.echo(str(error))

    def _ask_for_prefix(self) -> str:
        if not click.confirm("Is there another app of this bot in the workspace?", default=False):
            return ""
        while True:
            prefix = str(click.prompt("First part of its commands, like test-"))
            if manifests.is_prefix(prefix):
                self._answers["BOT_COMMAND_PREFIX"] = prefix
                return prefix
            click.echo(f"Slack allows {manifests.PREFIX_RULE}.")

    def _ask_for_tokens(self) -> None:
        page = f"{APPS}/{self._app_id}" if self._app_id else f"{APPS} → your app"
        click.echo("\nThe tokens")
        self._ask(
            "SLACK_BOT_TOKEN",
            f"Bot User OAuth Token, xoxb-… ({page} → OAuth & Permissions)",
            bot.slack.checks.open_checks,
            ("slack token", "slack scopes"),
        )
        if self._url:
            where = f"Signing Secret ({page} → Basic Information)"
            names = ("slack signing secret",)
            self._ask("SLACK_SIGNING_SECRET", where, bot.slack.checks.open_checks, names)
            return
        self._ask(
            "SLACK_APP_TOKEN",
            f"App-level token, xapp-…, scope connections:write ({page} → Basic Information)",
            bot.slack.checks.open_checks,
            ("slack app token",),
        )

    def _ask_for_model(self) -> None:
        click.echo("\nThe AI server")
        url = self._get("OPENAI_BASE_URL")
        own = click.confirm("Use your own server instead of OpenAI?", default=bool(url))
        if own:
            text = "Its address, like http://localhost:11434/v1"
            while self._problem("OPENAI_BASE_URL", url := self._prompt("OPENAI_BASE_URL", text)):
                click.echo("That is not an http(s) address.")
        self._answers["OPENAI_BASE_URL"] = url if own else ""
        if self._get("BOT_ENGINE") == "echo":
            self._answers["BOT_ENGINE"] = "responses"
        text = "API key (Enter: none needed)" if own else "API key"
        opened = bot.engines.checks.open_checks
        self._ask("OPENAI_API_KEY", text, opened, ("engine",), optional=own)
        default = str(Settings.model_fields["openai_model"].default)
        self._ask("OPENAI_MODEL", "Model", opened, ("model",), default)

    def _ask_for_redis(self) -> None:
        click.echo("\nRedis, which keeps messages until they are answered")
        default = str(Settings.model_fields["redis_url"].default)
        self._ask("REDIS_URL", "Its address", bot.store.checks.open_checks, ("redis",), default)

    # Asking

    def _ask(
        self,
        variable: str,
        text: str,
        opened: Opener,
        checks: Collection[str],
        default: str = "",
        *,
        optional: bool = False,
    ) -> None:
        """Ask until the checks pass, or the person keeps the answer anyway."""
        while True:
            value = self._prompt(variable, text, default, optional=optional)
            if problem := self._problem(variable, value):
                click.echo(f"{variable} {problem}")
                continue
            self._answers[variable] = value
            lines = asyncio.run(_check(opened, self._settings(), checks))
            if not doctor.has_failed(lines):
                return
            if click.confirm("Keep it anyway?", default=False):
                return
            self._answers.pop(variable)
            self._before.pop(variable, None)

    def _prompt(
        self, variable: str, text: str, default: str = "", *, optional: bool = False
    ) -> str:
        """The person's input. A secret is hidden, and Enter keeps the existing one."""
        kept = self._get(variable) or default
        secret = variable.lower() in setting.SECRETS
        if secret and kept:
            text = f"{text} [the one in {self._file}]"
        answer = click.prompt(
            text,
            default=kept or ("" if optional else None),
            show_default=bool(kept) and not secret,
            hide_input=secret,
        )
        return str(answer).strip()

    def _problem(self, variable: str, value: str) -> str:
        """The error of a single value, or ""."""
        try:
            self._settings(**{variable: value})
        except ConfigError as error:
            return error.problem if error.variable == variable else ""
        return ""

    def _settings(self, **more: str) -> Settings:
        """The answers so far, with a placeholder for the required token."""
        given = {"SLACK_BOT_TOKEN": STAND_IN, **self._before, **self._answers, **more}
        return setting.read(None, **{name.lower(): value for name, value in given.items() if value})

    def _get(self, variable: str) -> str:
        value = self._answers.get(variable, self._before.get(variable, ""))
        is_blank = variable.lower() in setting.SECRETS and setting.is_placeholder(
            variable.lower(), value
        )
        return "" if is_blank else value

    @property
    def _url(self) -> str | None:
        return self._answers.get("BOT_PUBLIC_URL") or None

    def _write(self) -> None:
        if not self._file.exists() and EXAMPLE.exists():
            env_files.write(self._file, EXAMPLE.read_text(encoding="utf-8"))
        changed = {
            name: value
            for name, value in self._answers.items()
            if value or name in env_files.values(self._file)
        }
        env_files.change(self._file, changed)
        click.echo(f"\nWrote {self._file.absolute()}.")


def _ask_for_name() -> str:
    while len(name := str(click.prompt("Its name", default=manifests.NAME))) > LONGEST_NAME:
        click.echo(f"Slack allows {LONGEST_NAME} characters.")
    return name


def _valid(given: dict[str, str]) -> dict[str, str]:
    """The values without invalid ones, which are reported."""
    valid = {}
    for name, value in given.items():
        try:
            setting.read(None, **{"slack_bot_token": STAND_IN, name.lower(): value})
            valid[name] = value
        except ConfigError as error:
            click.echo(f"Not used: {error}")
    return valid


async def _check(
    opened: Opener, settings: Settings, names: Collection[str]
) -> list[doctor.CheckResult]:
    async with opened(settings) as checks:
        return await doctor.run([each for each in checks if each.name in names], _show)


def _show(line: doctor.CheckResult) -> None:
    click.echo(doctor.render_line(line))
