"""The last gate before the AI server: no text reaches it that may not be sent.

Everything that a model reads goes through the engine's port: questions, context, files, our record
when a conversation is rebuilt, and the outputs of tools.
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.calls import FunctionOutput
from bot.dlp import Dlp
from bot.engines import Engine, RunRequest
from bot.engines.wrapper import EngineWrapper
from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Conversation, Message, Record, Run, Thread
from bot.telemetry.log import log
from bot.texts.dlp import REFUSED, WITHHELD, WITHHELD_OUTPUT


class DlpEngine(EngineWrapper):
    """Refuses messages, and withholds lines of the record and outputs of tools."""

    def __init__(self, engine: Engine, dlp: Dlp) -> None:
        super().__init__(engine)
        self._dlp = dlp
        if not dlp.unchecked_files:
            self.reads = engine.reads & {"text"}

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        return await self._engine.begin(thread, user_id, await self._withhold(history))

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        if self._dlp.is_on:
            await self._check([message.text, *_texts_of(files)])
        return await self._engine.append(
            conversation, message, turn_id=turn_id, again=again, files=files
        )

    async def start(self, request: RunRequest) -> Run:
        if self._dlp.is_on:
            request = await self._checked(request)
        return await self._engine.start(request)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        await self._engine.close_calls(conversation, run, await self._withhold_outputs(outputs))

    async def _checked(self, request: RunRequest) -> RunRequest:
        files = [file for offered in request.files.values() for file in offered]
        said = [message.text for message in request.messages]
        await self._check([*said, *_texts_of(files), request.options.instructions])
        owed = request.conversation.owed
        found = await self._dlp.find([message.text for message in owed])
        kept = tuple(m for m, why in zip(owed, found, strict=True) if not why)
        return replace(
            request,
            conversation=replace(request.conversation, owed=kept),
            # The outputs of these tools would reach the model without passing here.
            hosted=tuple(tool for tool in request.hosted if tool["type"] != "mcp"),
            outputs=await self._withhold_outputs(request.outputs),
            earlier=await self._withhold_outputs(request.earlier),
        )

    async def _check(self, texts: Sequence[str]) -> None:
        found = dict.fromkeys(filter(None, await self._dlp.find(texts)))
        if found:
            log.warning("dlp_refused", texts=len(texts))
            raise RunFailed("failed", REFUSED, detail=", ".join(found))

    async def _withhold(self, history: Sequence[Record]) -> Sequence[Record]:
        if not self._dlp.is_on or not history:
            return history
        texts = await self._dlp.find([record.text for record in history])
        files = await self._dlp.find([record.files for record in history])
        return [
            replace(
                record,
                text=WITHHELD if text else record.text,
                files=WITHHELD if file else record.files,
                outputs=await self._withhold_outputs(record.outputs),
            )
            for record, text, file in zip(history, texts, files, strict=True)
        ]

    async def _withhold_outputs(
        self, outputs: Sequence[FunctionOutput]
    ) -> tuple[FunctionOutput, ...]:
        if not self._dlp.is_on:
            return tuple(outputs)
        found = await self._dlp.find([output.text for output in outputs])
        if any(found):
            log.warning("dlp_output_withheld", outputs=sum(map(bool, found)))
        return tuple(
            replace(output, text=WITHHELD_OUTPUT) if why else output
            for output, why in zip(outputs, found, strict=True)
        )


def _texts_of(files: Sequence[Attachment]) -> list[str]:
    texts = [file.text for file in files if file.kind == "text"]
    return [*(file.name for file in files), *texts]
