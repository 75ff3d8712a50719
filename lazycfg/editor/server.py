"""The language server: what an editor asks, and what it is told.

An editor may send ``{"run": true}`` as initialization options: configs of the workspace are then run by
`lazycfg check`, in a process of their own, when they are opened and saved. Without it nothing of a file runs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Iterable
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from lazycfg._version import __version__
from lazycfg.editor.answers import Choice, ConfigText, Fault, Location
from lazycfg.editor.running import checked_by_running
from lazycfg.without_importing.source import forget_sources

__all__ = ["keep_collections_out_of_answers", "make_server"]

logger = logging.getLogger(__name__)

_PAUSE = 0.25  # seconds without a key before the text is judged


class ConfigServer(LanguageServer):
    """A language server for configs.

    Args:
        run: run configs to check them. What the editor says in its options counts before that.
    """

    def __init__(self, run: bool = False) -> None:
        super().__init__("lazycfg", __version__)
        self.run = run
        self._read: dict[str, tuple[int | None, dict[str, bytes], ConfigText]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def config_text(self, uri: str) -> ConfigText | None:
        """Return an open file as it stands now; None for what is no file."""
        document = self.workspace.get_text_document(uri)
        file = to_fs_path(uri)
        if file is None:
            return None
        others = self._unsaved(uri)
        kept = self._read.get(uri)
        if kept is not None and kept[:2] == (document.version, others):
            return kept[2]
        text = ConfigText(file, document.source, others)
        self._read[uri] = document.version, others, text
        return text

    def _unsaved(self, uri: str) -> dict[str, bytes]:
        """Return the texts of the other files that are open, by absolute path."""
        return {
            os.path.abspath(file): document.source.encode()
            for other, document in self.workspace.text_documents.items()
            if other != uri and (file := to_fs_path(other)) is not None
        }

    def forget(self, uri: str) -> None:
        """Forget a file that was closed, and all that was read of other files."""
        self._read.pop(uri, None)
        self.stop(uri)

    def forget_files(self) -> None:
        """Read everything anew, since a file was written."""
        self._read.clear()
        forget_sources()

    # ---------------------------------------------------------------- what is wrong

    def judge(self, uri: str, *, pause: float = 0.0, run: bool = False) -> None:
        """Tell what is wrong with a file, after a pause; what was to be told of it before is not any more."""
        self.stop(uri)
        self._tasks[uri] = asyncio.get_running_loop().create_task(self._judge(uri, pause, run))

    def stop(self, uri: str) -> None:
        """Stop what is going on for a file."""
        task = self._tasks.pop(uri, None)
        if task is not None:
            task.cancel()

    async def _judge(self, uri: str, pause: float, run: bool) -> None:
        await asyncio.sleep(pause)
        text = self.config_text(uri)
        if text is None:
            return
        self._tell(uri, text.faults())
        if run and self.run and text.syntax_error is None:
            try:
                self._tell(uri, await checked_by_running(text.file))
            except RuntimeError as error:
                logger.warning("%s", error)
        await asyncio.sleep(_PAUSE)
        gc.collect()  # see `keep_collections_out_of_answers`

    def _tell(self, uri: str, faults: Iterable[Fault]) -> None:
        document = self.workspace.get_text_document(uri)
        found = [self._diagnostic(document, fault) for fault in faults]
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri=uri, diagnostics=found, version=document.version)
        )

    def _diagnostic(self, document: TextDocument, fault: Fault) -> types.Diagnostic:
        file = os.path.abspath(to_fs_path(document.uri) or "")
        at, message = fault.at, fault.message
        if fault.path:
            message = f"{fault.path}: {message}"
        if at is None or os.path.abspath(at.file) != file:  # of a file that this one is made of
            message += f"\n(written at {at.file}:{at.line})" if at is not None else ""
            at = Location(file, 1, 1)
        return types.Diagnostic(
            range=self._range(document, at),
            message=message,
            source="lazycfg",
            severity=types.DiagnosticSeverity.Warning
            if fault.severity == "warning"
            else types.DiagnosticSeverity.Error,
        )

    def _range(self, document: TextDocument, at: Location) -> types.Range:
        """Return the range from a place to the end of what stands there, in units of the editor."""
        lines = document.lines
        line = min(max(at.line - 1, 0), max(len(lines) - 1, 0))
        text = lines[line].rstrip("\r\n") if lines else ""
        start = min(at.column - 1, len(text))
        rest = text[start:]
        word = len(rest) - len(rest.lstrip("".join({*rest} - {*" \t=(,)[]{}#"}))) if rest else 0
        end = start + max(word, 1) if rest else start
        return self.workspace.position_codec.range_to_client_units(
            lines, types.Range(types.Position(line, start), types.Position(line, end))
        )

    # ---------------------------------------------------------------- places

    def place(self, uri: str, position: types.Position) -> tuple[int, int]:
        """Return line and column, from 1, of a position in units of the editor."""
        lines = self.workspace.get_text_document(uri).lines
        own = self.workspace.position_codec.position_from_client_units(lines, position)
        return own.line + 1, own.character + 1

    def location(self, at: Location) -> types.Location:
        """Return a place in a file for the editor."""
        uri = from_fs_path(at.file) or ""
        document = self.workspace.get_text_document(uri)
        return types.Location(uri=uri, range=self._range(document, at))


def keep_collections_out_of_answers() -> None:
    """Let the garbage collector of this process go through all objects only when a server asks for it.

    Each reading of a file leaves a tree behind, and to collect these takes longer than any answer; a server
    does it a moment after it has judged a file, when nobody types.
    """
    gc.collect()
    gc.freeze()  # what is imported stays
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 1_000_000)


def make_server(run: bool = False) -> ConfigServer:
    """Return a server that is ready to be started.

    Args:
        run: see `ConfigServer`.
    """
    server = ConfigServer(run)

    @server.feature(types.INITIALIZE)
    def initialize(ls: ConfigServer, params: types.InitializeParams) -> None:
        options: Any = params.initialization_options
        wanted = options.get("run") if isinstance(options, dict) else getattr(options, "run", None)
        if isinstance(wanted, bool):
            ls.run = wanted

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(ls: ConfigServer, params: types.DidOpenTextDocumentParams) -> None:
        ls.judge(params.text_document.uri, run=True)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(ls: ConfigServer, params: types.DidChangeTextDocumentParams) -> None:
        ls.judge(params.text_document.uri, pause=_PAUSE)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(ls: ConfigServer, params: types.DidSaveTextDocumentParams) -> None:
        ls.forget_files()
        ls.judge(params.text_document.uri, run=True)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(ls: ConfigServer, params: types.DidCloseTextDocumentParams) -> None:
        ls.forget(params.text_document.uri)
        nothing = types.PublishDiagnosticsParams(uri=params.text_document.uri, diagnostics=[])
        ls.text_document_publish_diagnostics(nothing)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(ls: ConfigServer, params: types.HoverParams) -> types.Hover | None:
        text = ls.config_text(params.text_document.uri)
        spot = None if text is None else text.spot(*ls.place(params.text_document.uri, params.position))
        if text is None or spot is None or not (said := text.hover(spot)):
            return None
        return types.Hover(contents=types.MarkupContent(kind=types.MarkupKind.Markdown, value=said))

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: ConfigServer, params: types.DefinitionParams) -> list[types.Location]:
        text = ls.config_text(params.text_document.uri)
        spot = None if text is None else text.spot(*ls.place(params.text_document.uri, params.position))
        if text is None or spot is None:
            return []
        return [ls.location(at) for at in text.definitions(spot)]

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", ","])
    )
    def completion(ls: ConfigServer, params: types.CompletionParams) -> list[types.CompletionItem]:
        text = ls.config_text(params.text_document.uri)
        if text is None:
            return []
        return [_item(c) for c in text.completions(*ls.place(params.text_document.uri, params.position))]

    return server


def _item(choice: Choice) -> types.CompletionItem:
    return types.CompletionItem(
        label=choice.name,
        kind=types.CompletionItemKind.Variable if choice.argument else types.CompletionItemKind.Field,
        detail=choice.detail[:200],
        documentation=choice.documentation or None,
        insert_text=f"{choice.name}=" if choice.argument else choice.name,
    )
