"""A stand-in on this machine for the API of the Hugging Face Hub: repositories of small files."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, content, status=200, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    @property
    def repos(self):
        return self.server.repos

    def do_POST(self):
        path, body = self.path.partition("?")[0], self.body()
        self.server.asked.append(("POST", path, self.headers.get("Authorization")))
        if path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
            self.repos.setdefault(name, [])
            self.answer({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [{"path": x["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for x in json.loads(body)["files"]]  # fmt: skip
            self.answer({"files": files})
        elif "/commit/" in path:
            name = path.removeprefix("/api/models/").partition("/commit/")[0]
            files = {}
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.repos[name].append(files)
            commit = self.commit(name)
            url = f"{self.server.url}/{name}/commit/{commit}"
            self.answer({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})
        else:
            self.answer({"error": "not known here"}, 404)

    def commit(self, name):
        return hashlib.sha1(f"{name} {len(self.repos[name])}".encode()).hexdigest()

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Authorization")))
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        if name not in self.repos:
            self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return
        files, commit = self.repos[name][-1], self.commit(name)
        if "/resolve/" in path:
            file = path.rpartition("/")[2]
            if file not in files:
                self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
                return
            etag = f'"{hashlib.sha1(files[file]).hexdigest()}"'
            self.answer(files[file], headers={"ETag": etag, "X-Repo-Commit": commit})
        elif "/tree/" in path:
            sizes = {file: len(content) for file, content in files.items()}
            self.answer([{"type": "file", "path": x, "size": size, "oid": x} for x, size in sizes.items()])
        else:
            siblings = [{"rfilename": file} for file in files]
            self.answer({"_id": "0", "id": name, "modelId": name, "sha": commit, "siblings": siblings,
                         "private": False, "tags": [], "downloads": 0})  # fmt: skip

    do_HEAD = do_GET


@contextmanager
def serving():
    """A server; its `repos` are lists of commits, each a dict of files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.repos, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
