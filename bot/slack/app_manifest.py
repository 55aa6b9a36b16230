"""Creates and updates the Slack app itself, with a person's configuration token.

https://docs.slack.dev/reference/methods/apps.manifest.create
"""

from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, ConfigError
from bot.slack.client import error_code, slack_errors

Manifest = dict[str, Any]
EXPIRED = frozenset({"invalid_auth", "token_expired", "not_authed", "not_allowed_token_type"})
VARIABLE = "configuration token"


@dataclass(frozen=True, slots=True)
class CreatedApp:
    """A new app, not yet installed."""

    id: str
    signing_secret: str


class AppManifests:
    """The apps of one person. All methods raise ConfigError if Slack refuses."""

    def __init__(self, token: str, api_url: str) -> None:
        self._client = AsyncWebClient(
            token=token, base_url=api_url, retry_handlers=[], trust_env_in_session=True
        )

    async def create(self, manifest: Manifest) -> CreatedApp:
        """Create an app."""
        answer = await self._call("apps_manifest_create", manifest=manifest)
        credentials = answer.get("credentials") or {}
        return CreatedApp(str(answer["app_id"]), str(credentials.get("signing_secret") or ""))

    async def export(self, app_id: str) -> Manifest:
        """The app's manifest in Slack."""
        answer = await self._call("apps_manifest_export", app_id=app_id)
        return dict(answer.get("manifest") or {})

    async def update(self, app_id: str, manifest: Manifest) -> bool:
        """Replace the manifest; returns whether the app must be reinstalled for new scopes."""
        answer = await self._call("apps_manifest_update", app_id=app_id, manifest=manifest)
        return bool(answer.get("permissions_updated"))

    async def _call(self, method: str, **args: Any) -> Any:
        try:
            with slack_errors():
                return await getattr(self._client, method)(**args)
        except SlackApiError as error:
            raise ConfigError(VARIABLE, _explain(error)) from None
        except BotError as error:
            code = str(error).removeprefix("slack_")
            raise ConfigError(VARIABLE, _hint(code) or f"Slack does not answer: {code}") from None


def keep_names(ours: Manifest, theirs: Manifest) -> Manifest:
    """Our manifest with the names and colours that the app's owner chose."""
    features = ours["features"]
    if name := ((theirs.get("features") or {}).get("bot_user") or {}).get("display_name"):
        features = features | {"bot_user": features["bot_user"] | {"display_name": name}}
    shown = theirs.get("display_information") or ours["display_information"]
    return ours | {"display_information": shown, "features": features}


def _explain(error: SlackApiError) -> str:
    code = error_code(error)
    problems = error.response.get("errors") or ()
    details = "; ".join(
        f"{problem.get('message')} ({problem.get('pointer')})"
        for problem in problems
        if isinstance(problem, dict)
    )
    return _hint(code) or f"Slack refuses: {code}{f': {details}' if details else ''}"


def _hint(code: str) -> str:
    if code not in EXPIRED:
        return ""
    return f"Slack refuses it ({code}): it lasts 12 hours and begins with xoxe.xoxp-"
