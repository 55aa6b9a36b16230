"""What the runs of a turn have in common."""

from dataclasses import dataclass

from bot.store.journal import Turn
from bot.store.steps import Generation
from bot.tools.toolbox import Offer
from bot.turn.batch import Request
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.story import Story


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all runs of one generation of a turn have in common."""

    turn: Turn
    services: Services
    request: Request
    interrupt: Interrupt
    generation: Generation
    offer: Offer
    story: Story
