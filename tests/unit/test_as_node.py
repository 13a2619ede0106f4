"""What a machine asks as its kubelet, of a server that asks for its certificate: by curl, and where that cannot."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shlex import quote

import pytest
from local_machine import program, shell

from kubeinfra.components.as_node import as_node, status_as_node
from kubeinfra.paths import KUBELET_CLIENT_PEM, KUBELET_KUBECONFIG, KUBERNETES_CA

BODY = '{"message": "a\\\\nb", "kind": "Node"}'
NSS = "echo 'curl 7.29.0 (x86_64-redhat-linux-gnu) libcurl/7.29.0 NSS/3.53.1 zlib/1.2.7'; [ \"$1\" = --version ]"


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/api/v1/nodes?a=b!%3Dc" and self.headers.get("Host")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(f"{BODY}\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A directory with the files of a node whose API server listens on this computer."""
    made = shell(
        f"cd {quote(str(tmp_path))} && "
        "new() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key && "
        "openssl req -x509 -new -key $1.key -subj /CN=$1 -addext subjectAltName=$2 -days 2 -out $1.crt; } && "
        "new server IP:127.0.0.1 && new client DNS:client && cat client.crt client.key >client.pem"
    )
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "client.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        (tmp_path / "kubeconfig").write_text(f"    server: https://127.0.0.1:{server.server_port}\n")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path
        server.shutdown()


def asked(machine: Path, command: str, curl: str) -> tuple[int, str]:
    for there, here in (
        (KUBELET_CLIENT_PEM, "client.pem"),
        (KUBELET_KUBECONFIG, "kubeconfig"),
        (KUBERNETES_CA, "server.crt"),
    ):
        command = command.replace(there, str(machine / here))
    programs = program(machine / "programs", "curl", NSS) if curl == "nss" else None
    done = shell(command, programs=programs)
    return done.returncode, done.stdout


@pytest.mark.parametrize("curl", ["own", "nss"])
def test_it_gets_what_it_asks_for(machine: Path, curl: str) -> None:
    command = as_node("/api/v1/nodes?a=b!%3Dc")
    assert asked(machine, command, curl) == (0, f"{BODY}\n")
    assert asked(machine, f'found=$({command}) && echo "$found" | grep -c kind', curl) == (0, "1\n")


@pytest.mark.parametrize("curl", ["own", "nss"])
def test_an_error_fails_and_has_a_number(machine: Path, curl: str) -> None:
    code, said = asked(machine, as_node("/nothing"), curl)
    assert code != 0 and not said
    assert asked(machine, status_as_node("/nothing"), curl)[1].strip() == "404"
    assert asked(machine, status_as_node("/api/v1/nodes?a=b!%3Dc"), curl)[1].strip() == "200"


@pytest.mark.parametrize("curl", ["own", "nss"])
def test_a_server_of_another_ca_is_not_believed(machine: Path, curl: str) -> None:
    (machine / "server.crt").write_text((machine / "client.crt").read_text())
    code, said = asked(machine, as_node("/api/v1/nodes?a=b!%3Dc"), curl)
    assert code != 0 and not said


def test_a_name_that_is_not_in_the_certificate_is_not_believed(machine: Path) -> None:
    text = (machine / "kubeconfig").read_text()
    (machine / "kubeconfig").write_text(text.replace("127.0.0.1", "localhost"))
    code, said = asked(machine, as_node("/api/v1/nodes?a=b!%3Dc"), "nss")
    assert code != 0 and not said
