"""The choice of a model in a form: a menu, or a text field if the models are not known."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bot.slack.blocks import LABEL_LENGTH, Block, select, text_input
from bot.texts.channel_settings import MODEL_DEFAULT

BLOCK = "model"
DEFAULT = "default"
"""The value of the option that means the deployment's model."""
ListModels = Callable[[], Awaitable[Sequence[str]]]
"""The models to choose from; none if they are not known."""


def model_input(chosen: str, models: Sequence[str]) -> Block:
    """The element of the form; what was chosen stays an option."""
    if not models:
        return text_input(BLOCK, value=chosen)
    known = [chosen] if chosen and chosen not in models else []
    names = {name: name[:LABEL_LENGTH] for name in (*known, *models)}
    return select(BLOCK, {DEFAULT: MODEL_DEFAULT} | names, chosen or DEFAULT)


def read_model(given: Mapping[str, Any]) -> str:
    """The chosen model, from the state of the element; "" for the deployment's."""
    option = given.get("selected_option") or {}
    picked = str(option.get("value") or given.get("value") or "")
    return "" if picked == DEFAULT else picked.strip()
