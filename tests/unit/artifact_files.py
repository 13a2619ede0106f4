"""Made-up archives and images, a server for them, and what the tests of artifacts share."""

import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from kubeinfra.errors import KubeinfraError


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def tarball(members: Mapping[str, bytes], mode: int = 0o755, compression: Literal["gz", "xz", ""] = "gz") -> bytes:
    buffer = io.BytesIO()
    form: dict[str, Literal["w:gz", "w:xz", "w:"]] = {"gz": "w:gz", "xz": "w:xz", "": "w:"}
    with tarfile.open(fileobj=buffer, mode=form[compression]) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def saved(tags: list[str], arch: str = "amd64", folder: str = "") -> tuple[bytes, str]:
    """A tar of `docker save`, and the ID of the image in it."""
    config = json.dumps({"architecture": arch, "os": "linux"}).encode()
    name = f"{folder}{digest(config)[7:]}"
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": []}]).encode()
    return tarball({name: config, "manifest.json": manifest}, compression=""), digest(config)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def problem(act: Callable[[], object]) -> str:
    with pytest.raises(KubeinfraError) as error:
        act()
    return str(error.value)


@dataclass
class Server:
    """Serves `files` by path; a missing one is a 404. `cut` ends the body of that path early."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    silent: threading.Event | None = None
    """Set: requests are kept waiting until it happens."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {request.path}")
        if self.silent:
            self.silent.wait(5)
        content = self.files.get(request.path)
        request.send_response(404 if content is None else 200)
        request.send_header("Content-Length", str(len(content or b"")))
        request.end_headers()
        if request.command == "GET" and content:
            time.sleep(0.05)  # long enough for another thread to ask as well, if it may
            request.wfile.write(content[: len(content) // 2] if request.path in self.cut else content)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
            self.url = f"http://127.0.0.1:{http.server_port}"
            threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
            yield self
            http.shutdown()
