"""A plain client of a language server: JSON-RPC over the pipes of a process."""

import json
import os
import subprocess
import sys
import threading
import time
from queue import Empty, Queue

COMMAND = "import sys; from lazycfg.cli import main; sys.exit(main())"


class Client:
    """Starts `lazycfg lsp`; `ask` waits for an answer, `tell` does not."""

    def __init__(self, *words, encodings=("utf-16",), path=(), **options):
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "lsp", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        )
        self._answers, self.told = {}, Queue()
        self._new = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        self._number = 0
        general = {"positionEncodings": list(encodings)}
        self.capabilities = self.ask(
            "initialize",
            {"processId": None, "rootUri": None, "capabilities": {"general": general}, **options},
            timeout=60,
        )["capabilities"]
        self.tell("initialized", {})

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _listen(self):
        while head := self.process.stdout.readline():
            size = int(head.split(b":")[1]) if head.lower().startswith(b"content-length") else None
            while self.process.stdout.readline().strip():
                pass
            message = json.loads(self.process.stdout.read(size))
            if "method" in message:
                self.told.put(message)
                continue
            with self._new:
                self._answers[message["id"]] = message
                self._new.notify_all()

    def tell(self, method, params):
        self._send({"method": method, "params": params})

    def ask(self, method, params, timeout=20):
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        with self._new:
            assert self._new.wait_for(lambda: number in self._answers, timeout), f"no answer to {method}"
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer.get("result")

    def open(self, path, text=None):
        """Open a file; return the problems that the server tells first."""
        text = path.read_text() if text is None else text
        document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return self.problems(path)

    def change(self, path, text, version):
        document = {"uri": path.as_uri(), "version": version}
        params = {"textDocument": document, "contentChanges": [{"text": text}]}
        self.tell("textDocument/didChange", params)

    def save(self, path):
        self.tell("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})

    def problems(self, path, timeout=20):
        """Return what is told of a file next."""
        end = time.monotonic() + timeout
        while True:
            try:
                message = self.told.get(timeout=max(0.01, end - time.monotonic()))
            except Empty:
                raise AssertionError("nothing was told") from None
            params = message["params"]
            if message["method"] == "textDocument/publishDiagnostics" and params["uri"] == path.as_uri():
                return params["diagnostics"]

    def at(self, method, path, line, character, **more):
        """Ask about a place, line and character from 0."""
        position = {"line": line, "character": character}
        return self.ask(
            f"textDocument/{method}", {"textDocument": {"uri": path.as_uri()}, "position": position, **more}
        )

    def close(self):
        self.ask("shutdown", None)
        self.tell("exit", None)
        return self.process.wait(20)
