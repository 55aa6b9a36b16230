"""A Bolt app that repeats what people say to it. `local-slack` prints the settings that it reads.

With SLACK_APP_TOKEN it connects by Socket Mode; else it listens on PORT at /slack/events.
"""

import os
from typing import Any

from slack_bolt import App, Say
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

client = WebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
app = App(client=client, signing_secret=os.environ["SLACK_SIGNING_SECRET"])


@app.event("app_mention")
@app.event({"type": "message", "subtype": None})
def repeat(event: dict[str, Any], say: Say) -> None:
    """Repeat mentions and direct messages in their thread."""
    if event["type"] == "app_mention" or event["channel_type"] == "im":
        words = event["text"].rpartition(">")[2].strip()
        say(text=f"You said: {words}", thread_ts=event.get("thread_ts", event["ts"]))


if app_token := os.environ.get("SLACK_APP_TOKEN"):
    SocketModeHandler(app, app_token).start()
else:
    app.start(port=int(os.environ["PORT"]))
