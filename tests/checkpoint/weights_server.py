"""A server of weights on this machine, with the faults of real ones."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 4096  # a megabyte
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    @property
    def asked(self):
        return self.server.asked

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.asked.append((path, self.headers.get("Range")))
        kind = path.split("/")[1]
        if kind in self.server.files:
            self.send(self.server.files[kind])
        else:
            getattr(self, f"get_{kind.replace('-', '_')}")()

    def times(self):
        """How often this path was asked for, this time included."""
        return sum(path == self.path.partition("?")[0] for path, _ in self.asked)

    def send(self, content, *, status=200, length=None, headers=(), cut=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:cut])
        if cut is not None or length is not None:
            self.wfile.flush()
            self.close_connection = True

    def send_rest(self, etag):
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        whole = len(CONTENT)
        headers = [("ETag", etag), ("Content-Range", f"bytes {start}-{whole - 1}/{whole}")]
        self.send(CONTENT[start:], status=206, headers=headers)

    def get_ok(self):
        self.send(CONTENT, headers=[("ETag", '"1"')])

    def get_breaks_off(self):
        if self.headers.get("Range") and self.headers.get("If-Range") == '"1"':
            self.send_rest('"1"')
        else:
            self.send(CONTENT, headers=[("ETag", '"1"')], cut=HALF)

    def get_always_breaks_off(self):
        self.send(CONTENT, headers=[("ETag", '"1"')], cut=HALF)

    def get_ignores_range(self):
        self.send(CONTENT, headers=[("ETag", '"1"')], cut=HALF if self.times() == 1 else None)

    def get_without_validator(self):
        self.send(CONTENT, cut=HALF if self.times() == 1 else None)

    def get_changes(self):
        """Another file after the first attempt: If-Range does not fit, so all of it comes."""
        if self.times() == 1:
            self.send(CONTENT[::-1], headers=[("ETag", '"0"')], cut=HALF)
        else:
            self.send(CONTENT, headers=[("ETag", '"1"')])

    def get_changes_silently(self):
        """Another file after the first attempt, as if it were the same."""
        if self.times() == 1:
            self.send(CONTENT[::-1], headers=[("ETag", '"1"')], cut=HALF)
        elif self.headers.get("Range"):
            self.send_rest('"1"')
        else:
            self.get_ok()

    def get_wrong_part(self):
        if self.headers.get("Range"):
            self.send(CONTENT[7:], status=206, headers=[("Content-Range", f"bytes 7-{len(CONTENT) - 1}/*")])
        else:
            self.send(CONTENT, headers=[("ETag", '"1"')], cut=HALF if self.times() == 1 else None)

    def get_no_such_range(self):
        if self.headers.get("Range"):
            self.send(b"", status=416)
        else:
            self.send(CONTENT, headers=[("ETag", '"1"')], cut=HALF if self.times() == 1 else None)

    def get_announces_more(self):
        self.send(CONTENT, length=len(CONTENT) + 10)

    def get_announces_less(self):
        self.send(CONTENT, length=len(CONTENT) - 10)

    def get_busy(self):
        if self.times() < 3:
            self.send(b"later", status=503)
        else:
            self.send(CONTENT)

    def get_missing(self):
        self.send(b"<html>no</html>", status=404)

    def get_login(self):
        self.send(b"\n <!DOCTYPE html><html>please log in</html>")

    def get_packed(self):
        self.send(CONTENT, headers=[("Content-Encoding", "gzip")])

    def get_empty(self):
        self.send(b"")

    def get_redirect(self):
        self.send(b"", status=302, headers=[("Location", "/ok/weights.bin")])

    def get_to_a_file(self):
        self.send(b"", status=302, headers=[("Location", "file:///etc/passwd")])

    def get_loop(self):
        self.send(b"", status=302, headers=[("Location", self.path)])

    def get_org(self):
        """As Hugging Face: what is stored elsewhere is told by its SHA-256."""
        told = SHA256 if "good" in self.path else "0" * 64
        self.send(b"", status=302, headers=[("Location", "/ok/blob"), ("X-Linked-Etag", f'"{told}"')])


@contextmanager
def serving(**files):
    """Yield the server: `url` to put before a path, and the requests `asked` of it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.files, server.asked = files, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
