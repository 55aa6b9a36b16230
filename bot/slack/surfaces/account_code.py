"""The code that connects a person's own account: shown in the browser, entered in Slack.

So the person who signed in and the Slack user who uses the account are the same.
"""

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import ConnectedAccounts
from bot.errors import BotError
from bot.slack.blocks import Block, actions, button, input_block, modal, text_input
from bot.slack.client import slack_errors
from bot.slack.direct_messages import DirectMessages
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.slack.rights import Rights
from bot.store import jobs
from bot.telemetry.log import log
from bot.texts import accounts as texts

ACTION = "enter_account_code"
VIEW = "account_code"
LONGEST = 20


class AccountCode:
    """The listeners of the button and of the form."""

    def __init__(self, accounts: ConnectedAccounts, rights: Rights, client: AsyncWebClient) -> None:
        self._accounts = accounts
        self._rights = rights
        self._client = client

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(ACTION)(self.open)
        app.view(VIEW)(self.submit)

    async def open(self, ack: AsyncAck, body: Payload) -> None:
        """Handle the button: ask for the code."""
        try:
            with slack_errors():
                await self._client.views_open(trigger_id=body["trigger_id"], view=code_modal())
        except (BotError, SlackApiError) as error:
            log.warning("modal_not_opened", error=str(error)[:100])
        await ack()

    async def submit(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the form: connect the account that waits for this code of this person."""
        team_id, user = installation(context), body["user"]
        place = jobs.place(team_id, user["id"])
        refused = await self._rights.refusal_of(place, user["id"], user.get("team_id") or "")
        if refused:
            await ack(
                response_action="errors", errors={"code": await self._rights.explain(refused)}
            )
            return
        code = view["state"]["values"]["code"]["code"].get("value") or ""
        server = await self._accounts.confirm(team_id, user["id"], code)
        if not server:
            await ack(response_action="errors", errors={"code": texts.WRONG_CODE})
            return
        await ack()
        try:
            await DirectMessages(self._client).send(user["id"], texts.connected_note(server))
        except BotError as error:
            log.warning("account_not_announced", user=user["id"], error=str(error)[:100])


def code_button() -> Block:
    """The button that opens the form."""
    return actions(button(texts.ENTER_CODE, ACTION, "code"))


def code_modal() -> Block:
    """The form for the code."""
    field = text_input("code", max_length=LONGEST)
    return modal(
        VIEW,
        texts.TITLE,
        [input_block("code", texts.CODE, field, hint=texts.CODE_HINT, optional=False)],
        submit=texts.CONNECT,
        close=texts.CANCEL,
        private_metadata="",
    )
