"""What pods get of name servers: a file that is there, with servers that they can reach, if the machine has any."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from cluster_samples import SEEN, cluster, here

from kubeinfra.components import node
from kubeinfra.components.node import OWN_RESOLV_CONF
from kubeinfra.machine.wanted import File

RESOLVED = "/run/systemd/resolve/resolv.conf"
STUB = "nameserver 127.0.0.53\noptions edns0\n"


def for_pods(etc: str, resolved: str, upstreams: list[str]) -> tuple[str, str | None]:
    """The kubelet's resolvConf, and the text of that file if it is ours."""
    found = cluster(dns_upstreams=upstreams)
    seen = replace(SEEN, resolv_conf=etc, systemd_resolv_conf=resolved)
    files = {item.path: item.content for item in node.describe(here(found, "n1", seen)).files if isinstance(item, File)}
    path = yaml.safe_load(files[node.KUBELET_CONFIG] or "")["resolvConf"]
    return path, files.get(path)


@pytest.mark.parametrize(
    ("etc", "resolved", "upstreams", "path", "text"),
    [
        ("nameserver 9.9.9.9\n", "", ["/etc/resolv.conf"], "/etc/resolv.conf", None),
        (STUB, "nameserver 9.9.9.9\n", ["/etc/resolv.conf"], RESOLVED, None),
        # Its own server is a dnsmasq on the machine, with a second one elsewhere.
        (STUB, "nameserver 127.0.0.1\nnameserver 9.9.9.9\n", [], OWN_RESOLV_CONF, "nameserver 9.9.9.9\n"),
        (STUB, "nameserver 127.0.0.1\n", ["10.1.1.1", "10.1.1.2:5353"], OWN_RESOLV_CONF, "nameserver 10.1.1.1\n"),
        # systemd-resolved has just started, or its network has not.
        (STUB, "# No DNS servers known.\n", ["10.1.1.1"], OWN_RESOLV_CONF, "nameserver 10.1.1.1\n"),
        # No /etc/resolv.conf: the kubelet would start no pod, as it opens the file for each.
        ("", "", [], OWN_RESOLV_CONF, ""),
        ("", "", ["10.1.1.1"], OWN_RESOLV_CONF, "nameserver 10.1.1.1\n"),
        ("", "nameserver 9.9.9.9\n", ["/etc/resolv.conf"], RESOLVED, None),
        # Servers that only the machine can reach: of IPv6, of a link, its own wildcard address.
        ("nameserver fe80::1%2\n", "", ["10.1.1.1"], OWN_RESOLV_CONF, "nameserver 10.1.1.1\n"),
        ("nameserver 0.0.0.0\n", "", ["10.1.1.1"], OWN_RESOLV_CONF, "nameserver 10.1.1.1\n"),
        # A search domain is of use with other servers, too; a last line without its end.
        ("search a.b\nnameserver 127.0.0.1", "", ["10.1.1.1"], OWN_RESOLV_CONF, "search a.b\nnameserver 10.1.1.1\n"),
    ],
)
def test_pods_get_a_file_that_is_there(
    etc: str, resolved: str, upstreams: list[str], path: str, text: str | None
) -> None:
    found, content = for_pods(etc, resolved, upstreams)
    assert found == path
    assert (content or "").endswith(text or "")
    assert text is None or "127.0.0" not in (content or "")
