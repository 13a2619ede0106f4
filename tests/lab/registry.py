"""
A registry of one image, over HTTPS with a CA of its own, and a proxy: on this machine, for nodes to pull through.

What a pull needs of https://github.com/opencontainers/distribution-spec and .../image-spec.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import select
import socket
import ssl
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from threading import Thread

from availability import show

from kubeinfra.pki.ca import CA
from kubeinfra.pki.spec import CertificateSpec
from lab.build.architecture import OWN

OCI = "application/vnd.oci"


class Registry:
    """
    Has one image, of a single new file, under any tag as `path`.

    + address: of this machine, as the nodes have it; + name: a second name of it, which its certificate has too
    + path: the image's name in the registry's API, such as "k8s/new"
    """

    def __init__(self, address: str, name: str, path: str) -> None:
        self._ca = CA.create("registry-ca", years=1)
        self._spec = CertificateSpec("registry", "server", dns_names=(name,), addresses=(IPv4Address(address),))
        self._address = address
        self._files = _image(f"/v2/{path}")
        self.asked: list[str] = []
        """Path of each request."""

    @property
    def ca_pem(self) -> str:
        return self._ca.bundle_pem

    @contextmanager
    def serve(self) -> Iterator[int]:
        """Meanwhile it answers at the port that this gives."""
        files, asked = self._files, self.asked

        class Handler(_Quiet):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(is_whole=False)

            def do_GET(self) -> None:
                self._answer(is_whole=True)

            def _answer(self, is_whole: bool) -> None:
                asked.append(self.path)
                path = self.path.partition("?")[0]
                kind, body = files.get(path) or files.get(f"{path.rpartition('/')[0]}/*") or ("", b"")
                self.send_response(200 if kind else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if is_whole:
                    self.wfile.write(body)

        server = ThreadingHTTPServer((self._address, 0), Handler)
        server.socket = self._context().wrap_socket(
            server.socket,
            server_side=True,
            do_handshake_on_connect=False,  # in the request's own thread
        )
        with _running(server) as port:
            yield port

    def _context(self) -> ssl.SSLContext:
        issued = self._ca.issue(self._spec, 1, datetime.now(UTC))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        show(context, (issued.certificate_pem + issued.key_pem).encode())
        return context


class Proxy:
    """A forward proxy whose every way leads to `port` of this machine, as if it could resolve all names."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._behind = address, port
        self.asked: list[tuple[str, str]] = []
        """Target of each CONNECT, "host:port", with its Proxy-Authorization."""

    @contextmanager
    def serve(self) -> Iterator[int]:
        """Meanwhile it answers at the port that this gives."""
        address, behind, asked = self._address, self._behind, self.asked

        class Handler(_Quiet):
            def do_CONNECT(self) -> None:
                asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
                self.send_response(200)
                self.end_headers()
                with socket.create_connection((address, behind)) as there:
                    _pass_on(self.connection, there)

        with _running(ThreadingHTTPServer((self._address, 0), Handler)) as port:
            yield port


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """What was asked is kept, not printed."""


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[int]:
    server.daemon_threads = True
    with ExitStack() as undo:
        undo.callback(server.server_close)
        Thread(target=server.serve_forever, daemon=True).start()
        undo.callback(server.shutdown)
        yield server.server_address[1]


def _image(below: str) -> dict[str, tuple[str, bytes]]:
    """Path -> media type and bytes, of an image that no machine has yet; a tag of any name is its manifest."""
    layer, content = io.BytesIO(), os.urandom(4096)
    with tarfile.open(fileobj=layer, mode="w") as tar:
        member = tarfile.TarInfo("new")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    rootfs = {"type": "layers", "diff_ids": [_digest(layer.getvalue())]}
    config = json.dumps({"architecture": OWN, "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    parts = {"image.config.v1+json": config, "image.layer.v1.tar": layer.getvalue()}
    described = [
        {"mediaType": f"{OCI}.{kind}", "digest": _digest(part), "size": len(part)} for kind, part in parts.items()
    ]
    kind = f"{OCI}.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": described[0], "layers": described[1:]}
    blobs = {f"{below}/blobs/{_digest(part)}": ("application/octet-stream", part) for part in parts.values()}
    return {f"{below}/manifests/*": (kind, json.dumps(manifest).encode()), **blobs}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways, until either ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            sent = ready.recv(65536)
            if not sent:
                return
            (other if ready is one else one).sendall(sent)
