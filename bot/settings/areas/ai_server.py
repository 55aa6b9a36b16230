"""The AI server: its address, its protocol and the model."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot import plugins
from bot.settings.values import ENGINES, HttpUrl, Models, OtherSecret

DEFAULT_INSTRUCTIONS = (
    "You are a helpful assistant in a Slack workspace. Answer in the language you are asked in, "
    "briefly and to the point, in Markdown."
)


def _check_engine(value: str) -> str:
    if value in ENGINES or value in plugins.find_names(plugins.ENGINES):
        return value
    known = ", ".join((*ENGINES, *sorted(plugins.find_names(plugins.ENGINES))))
    raise ValueError(f"is not the name of an engine: {known}")


EngineName = Annotated[str, AfterValidator(_check_engine)]


class AISettings:
    """The AI server: its address, its protocol and the model."""

    openai_api_key: OtherSecret | None = Field(None, description="Key of the AI server.")
    openai_base_url: HttpUrl | None = Field(
        None, description="Base of the AI server's API; default is OpenAI's own."
    )
    openai_model: str = Field("gpt-6-luna", description="Model that answers.")
    bot_models: Models = Field(
        (),
        description="Models that admins may choose for a channel, separated by commas; empty: "
        "those that the AI server lists.",
    )
    openai_assistant_id: str | None = Field(
        None, description="Assistant that answers (`assistants` engine only)."
    )
    bot_engine: EngineName = Field(
        "responses",
        description="Protocol of the AI server: `responses` or `assistants`; `echo` needs none; or "
        "the engine of an installed plug-in.",
    )
    bot_protocol: Literal["auto", "conversations", "responses", "chat"] = Field(
        "auto",
        description="OpenAI protocol of the AI server (`responses` engine only): its own "
        "`conversations`, `responses` without them, or `chat` completions; `auto` detects it.",
    )
    bot_instructions: str = Field(
        DEFAULT_INSTRUCTIONS, description="Instructions for the assistant."
    )
