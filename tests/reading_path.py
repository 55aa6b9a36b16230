"""The path of a reader who follows the calls of a function through the modules of the bot.

The reader reads a function, and then each function that it calls, in the order of the calls, down
to the last one. A function is read again only where another module calls it. The path is the list
of modules that this leads through. A *climb* is a step from a module back up to one that the path
entered earlier: the reader returns to a page that was finished.

*Leaves* are folders and modules whose functions the reader does not open: their names and
docstrings say enough. What a leaf calls back belongs to its caller. Functions inside of functions
(closures, comprehensions) are read with the function around them, and the work of a task with the
function that starts it.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from dis import get_instructions
from itertools import groupby, pairwise
from pathlib import Path
from types import CodeType, FrameType

import bot

ROOT = Path(bot.__file__).parent
FOLDER = f"{ROOT}/"


@dataclass
class Call:
    """A call of a function of the bot, and the calls that it makes in turn."""

    module: str
    """The module of the function, relative to `bot`."""
    name: str
    calls: list["Call"] = field(default_factory=list)


@dataclass
class Recording:
    """The calls of a function, while `recording` it."""

    entry: CodeType
    leaves: Collection[str]
    roots: list[Call] = field(default_factory=list)
    _calls: dict[int, Call | None] = field(default_factory=dict)
    """The calls by the identity of their frames; None for what called `entry`."""
    _frames: list[FrameType] = field(default_factory=list)
    """Kept, so that no other frame gets the identity of one of them."""
    _modules: dict[str, str] = field(default_factory=dict)
    _current: ContextVar[Call | None] = field(
        default_factory=lambda: ContextVar("current", default=None)
    )
    """The newest call of a task. A task that it starts inherits it."""

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Note the call of a frame; for `sys.setprofile`. A resumed coroutine is no new call."""
        module = self._module_of(frame.f_code)
        if event != "call" or not module or id(frame) in self._calls:
            return
        if frame.f_code is self.entry and frame.f_lasti == _first(self.entry):
            self._begin(frame, module)
        elif caller := self._caller(frame):
            self._add(frame, module, caller.calls)

    def _begin(self, frame: FrameType, module: str) -> None:
        above = frame.f_back
        while above:
            if above.f_code.co_filename.startswith(FOLDER):
                self._calls[id(above)] = None
                self._frames.append(above)
            above = above.f_back
        self._add(frame, module, self.roots)

    def _add(self, frame: FrameType, module: str, calls: list[Call]) -> None:
        call = self._calls[id(frame)] = Call(module, frame.f_code.co_qualname)
        self._frames.append(frame)
        calls.append(call)
        self._current.set(call)

    def _caller(self, frame: FrameType) -> Call | None:
        """The nearest call on the stack that is not one of a leaf."""
        above = frame.f_back
        while above and id(above) not in self._calls:
            above = above.f_back
        return self._calls[id(above)] if above else self._current.get()

    def _module_of(self, code: CodeType) -> str:
        """The module of a function relative to `bot`; "" for a leaf, and outside of `bot`."""
        path = code.co_filename
        if path not in self._modules:
            is_ours = path.startswith(FOLDER)
            parts = Path(path).relative_to(ROOT).with_suffix("").parts if is_ours else ()
            is_leaf = bool(parts) and parts[0] in self.leaves
            self._modules[path] = "" if is_leaf else ".".join(parts)
        return self._modules[path]


def _first(code: CodeType) -> int:
    """The position in a function at which it is called, not resumed."""
    return next(each.offset for each in get_instructions(code) if each.opname == "RESUME")


@contextmanager
def recording(entry: Callable[..., object], leaves: Collection[str] = ()) -> Iterator[Recording]:
    """Record the calls of `entry` in the block. `leaves` are folders and modules of `bot`."""
    recorded = Recording(entry.__code__, leaves)
    sys.setprofile(recorded.note)
    try:
        yield recorded
    finally:
        sys.setprofile(None)


def path_of(root: Call) -> list[Call]:
    """The calls in the order in which their functions are read."""
    read = dict[tuple[str, str, str], Call]()

    def visit(call: Call, caller: str) -> None:
        read.setdefault((caller, call.module, call.name), call)
        for each in call.calls:
            visit(each, call.module)

    visit(root, root.module)
    return [call for call in read.values() if "<locals>" not in call.name]


def stays_of(path: Sequence[Call]) -> list[str]:
    """The modules in which the reader stays, one after the other."""
    return [module for module, _ in groupby(call.module for call in path)]


def climbs_of(path: Sequence[Call]) -> list[str]:
    """The steps from a module back up to one that was entered before it."""
    stays = stays_of(path)
    rank = {module: number for number, module in enumerate(dict.fromkeys(stays))}
    return [f"{left} -> {up}" for left, up in pairwise(stays) if rank[up] < rank[left]]
