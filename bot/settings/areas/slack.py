"""The Slack app: its tokens, and how it is installed."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from bot.settings.problems import PLACEHOLDER
from bot.settings.values import HttpUrl, OtherSecret, Secret, is_blank, wrong_token_hint


def _check_bot_token(value: SecretStr) -> SecretStr:
    if is_blank(value.get_secret_value()):
        raise ValueError(PLACEHOLDER)
    if not value.get_secret_value().startswith("xoxb-"):
        raise ValueError(f"is not a bot token: it must begin with xoxb-{wrong_token_hint(value)}")
    return value


def _check_app_token(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith("xapp-"):
        hint = wrong_token_hint(value)
        raise ValueError(f"is not an app-level token: it must begin with xapp-{hint}")
    return value


def _check_client_id(value: str) -> str:
    if not re.fullmatch(r"[0-9]+\.[0-9]+", value):
        raise ValueError("is not a client ID: two numbers with a dot, under Basic Information")
    return value


def _with_slash(value: str) -> str:
    return value if value.endswith("/") else value + "/"


BotToken = Annotated[Secret, AfterValidator(_check_bot_token)]
AppToken = Annotated[Secret, AfterValidator(_check_app_token)]
ClientId = Annotated[str, AfterValidator(_check_client_id)]
ApiUrl = Annotated[HttpUrl, AfterValidator(_with_slash)]


class SlackSettings:
    """The Slack app: its tokens, and how it is installed."""

    slack_bot_token: BotToken | None = Field(
        None,
        description="Bot token of the Slack app (`xoxb-…`); needed unless workspaces install the "
        "app themselves (`SLACK_CLIENT_ID`).",
    )
    slack_signing_secret: OtherSecret | None = Field(
        None, description="Signing secret of the Slack app; needed over HTTP."
    )
    slack_app_token: AppToken | None = Field(
        None, description="App-level token (`xapp-…`). Present: Socket Mode. Absent: HTTP."
    )
    slack_client_id: ClientId | None = Field(
        None,
        description="Client ID of the Slack app. Present: any workspace can install the bot at "
        "`/slack/install`; see `docs/how-to/many-workspaces.md`.",
    )
    slack_client_secret: OtherSecret | None = Field(
        None, description="Client secret of the Slack app; needed with `SLACK_CLIENT_ID`."
    )
    slack_config_token: Secret | None = Field(
        None,
        description="Configuration token (`xoxe.xoxp-…`, valid for 12 hours): with it `bot doctor` "
        "compares the app's event subscriptions.",
    )
    slack_api_url: ApiUrl = Field(
        "https://slack.com/api/",
        description="Base of Slack's Web API; GovSlack: `https://slack-gov.com/api/`.",
    )

    @property
    def socket_mode(self) -> bool:
        """Whether events come over Slack's WebSocket instead of HTTP."""
        return self.slack_app_token is not None
