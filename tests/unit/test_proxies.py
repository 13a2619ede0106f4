"""
Our own questions never go through a proxy, whatever a machine's environment says: the real curl, and a proxy that
counts who came. That no other shell has forgotten it is looked at by tests/plan/test_shell_sent.py.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from socket import create_server
from threading import Thread

import pytest
from cluster_samples import guide, here
from local_machine import program

from kubeinfra.components import etcd
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.direct import CURL
from kubeinfra.health.questions import probes
from kubeinfra.machine.render import static
from kubeinfra.machine.wanted import File
from kubeinfra.paths import ETCDCTL

ENVIRONMENTS = {
    "https_proxy in /etc/environment": {"https_proxy": "http://{}", "http_proxy": "http://{}"},
    "upper case, with exceptions that name no machine": {
        "HTTPS_PROXY": "http://{}",
        "HTTP_PROXY": "http://{}",
        "http_proxy": "http://{}",
        "no_proxy": "localhost,192.168.0.0/16",
        "NO_PROXY": "localhost",
    },
    "a SOCKS proxy for everything": {"all_proxy": "socks5h://{}", "ALL_PROXY": "socks5h://{}", "no_proxy": ""},
}


class Proxy:
    """Hangs up on everybody, and counts them."""

    def __init__(self) -> None:
        self.listener, self.visitors = create_server(("127.0.0.1", 0)), 0
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.visitors += 1
            connection.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    found = Proxy()
    yield found
    found.listener.close()


def run(command: str, proxy: Proxy, said: Mapping[str, str], programs: Path | None = None) -> str:
    """What a command prints on a machine with these variables; nothing of this machine's own environment goes in."""
    path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    environment = {"PATH": path, **{name: value.format(proxy.address) for name, value in said.items()}}
    ran = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    return ran.stdout


@pytest.mark.parametrize("said", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_plain_curl_would_go_through_it(proxy: Proxy, said: Mapping[str, str]) -> None:
    run("curl -sk --max-time 5 https://127.0.0.1:1/", proxy, said)
    assert proxy.visitors == 1


@pytest.mark.parametrize("said", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_ours_does_not(proxy: Proxy, said: Mapping[str, str]) -> None:
    """Quoted once more, as in a gate."""
    run(f"sh -c {quote(f'{CURL} -sk --max-time 1 https://127.0.0.1:1/')}", proxy, said)
    assert proxy.visitors == 0


def test_every_question_about_health_uses_it() -> None:
    found = guide()
    every = [command for one in found.machines for _, _, command in probes(here(found, one.name), True)]
    assert sum("curl" in command for command in every) > 5
    asking = [command.replace("curl --version", "") for command in every]  # which asks nobody
    assert not [command for command in asking if "curl" in command.replace(CURL, "")]


@pytest.mark.parametrize("said", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_keepaliveds_check_does_not_either(proxy: Proxy, said: Mapping[str, str], tmp_path: Path) -> None:
    """By hand in a shell that has such a variable, it would say that this load balancer is dead."""
    check = tmp_path / "check"
    check.write_text(static("load_balancer/check-apiserver"))
    run(f"sh {check} 1 1", proxy, said)
    assert proxy.visitors == 0


@pytest.mark.parametrize("said", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
@pytest.mark.parametrize("name", ["kubectl", "etcdctl"])
def test_programs_in_go_are_told_to_ask_directly(
    proxy: Proxy, said: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    """They read NO_PROXY before no_proxy, and `*` is everything (golang.org/x/net/http/httpproxy)."""
    program(tmp_path, name, 'echo "$NO_PROXY"')
    if name == "kubectl":
        command = KUBECTL.replace("/opt/kubernetes/bin", str(tmp_path))
    else:
        files = etcd.describe(here(guide(), "m1")).files
        wrapper = next(item.content for item in files if isinstance(item, File) and item.path == ETCDCTL)
        command = f"set -- member list; {wrapper}".replace("/opt/etcd/bin", str(tmp_path))
    assert run(command, proxy, said).strip() == "*"
