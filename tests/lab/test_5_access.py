"""Who gets in, and who does not; what a stranger on a machine can read."""

from __future__ import annotations

import json
import re
from base64 import b64encode

import pytest
from laboratory import Lab, until
from observe import command_line, secrets, spoken

SSL = "/opt/kubernetes/ssl"
# Plain HTTP that a stranger may hear: health of kube-proxy and flannel's, neither tells or takes anything else.
PLAIN = {("kube-proxy", "10256"), ("flanneld", "8081")}
SECURE = {
    ("nginx", "6443"),
    ("sshd", "22"),
    ("etcd", "2379"),
    ("etcd", "2380"),
    ("kube-apiserver", "6443"),
    ("kubelet", "10250"),
}


def bearer(cluster: Lab, token: str) -> list[str]:
    ca = cluster.cas / "kubernetes" / "ca.pem"
    return [
        "--kubeconfig=/dev/null",
        f"--server={cluster.server}",
        f"--certificate-authority={ca}",
        f"--token={token}",
    ]


def status(cluster: Lab, options: str, path: str = "/api/v1/nodes") -> str:
    """HTTP status that the API server answers curl with."""
    url = f"{cluster.server}{path}"
    return cluster.run(
        cluster.nodes[0], f"curl -sS -o /dev/null -w '%{{http_code}}' --cacert {SSL}/ca.pem {options} {url}"
    )


def test_a_wrong_token_is_refused(cluster: Lab) -> None:
    assert status(cluster, "-H 'Authorization: Bearer wrong'") == "401", "a wrong token should be nobody's"
    assert status(cluster, "") == "403", "without a token nobody should see nodes"


def test_the_bootstrap_token_may_ask_for_a_certificate_only(cluster: Lab) -> None:
    token = (cluster.state / "secrets" / "bootstrap-token").read_text().strip()
    me = bearer(cluster, token)

    def may(*what: str) -> bool:
        return cluster.kubectl("auth", "can-i", *what, credentials=me, check=False).strip() == "yes"

    assert may("create", "certificatesigningrequests"), "the token should let a node ask for its certificate"
    for what in (("get", "nodes"), ("get", "secrets", "-A"), ("approve", "certificatesigningrequests"), ("*", "*")):
        assert not may(*what), f"the token should not let anybody {' '.join(what)}"


def test_a_node_may_renew_its_own_certificate(cluster: Lab) -> None:
    """The request that a kubelet sends when its certificate is near its end, signed for nobody by hand."""
    machine = cluster.nodes[0]
    subject = f"/O=system:nodes/CN=system:node:{cluster.address(machine)}"
    request = cluster.run(
        machine,
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null "
        f"-subj '{subject}' 2>/dev/null",
    )
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "lab-test-renewal"},
        "spec": {
            "request": b64encode(request.encode()).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "key encipherment", "client auth"],
        },
    }
    mine = f"--cacert {SSL}/ca.pem --cert {SSL}/kubelet-client-current.pem --key {SSL}/kubelet-client-current.pem"
    url = f"{cluster.server}/apis/certificates.k8s.io/v1/certificatesigningrequests"
    post = f"curl -sSf {mine} -H 'Content-Type: application/json' --data-binary @- {url}"
    try:
        cluster.run(machine, post, stdin=json.dumps(body))
        signed = lambda: "certificate" in cluster.get("csr", "lab-test-renewal")["status"] or "not signed"  # noqa: E731
        until("the node's own request is approved and signed", signed, 20)
        life = cluster.get("csr", "lab-test-renewal")["status"]["certificate"]
        text = cluster.run(machine, "base64 -d | openssl x509 -noout -checkend 315000000", stdin=life)
        assert "will not expire" in text, "it should be signed for ten years"
    finally:
        cluster.kubectl("delete", "csr", "lab-test-renewal", "--ignore-not-found")


def test_a_stranger_may_not_renew_a_nodes_certificate(cluster: Lab) -> None:
    """`approve` is for the node itself: nobody else's request gets a node's name without the bootstrap token."""
    verdict = cluster.kubectl(
        "auth", "can-i", "create", "certificatesigningrequests/selfnodeclient", "--as=somebody", check=False
    )
    assert verdict.splitlines()[0] == "no", f"somebody should not be taken for a node: {verdict}"


def test_the_api_server_runs_with_the_flags_that_keep_strangers_out(cluster: Lab) -> None:
    for machine in cluster.masters:
        line = command_line(cluster, machine, "kube-apiserver")
        for flag in (
            f"--kubelet-certificate-authority={SSL}/ca.pem",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--profiling=false",
        ):
            assert flag in line, f"the API server on {machine} should run with {flag}: {line}"


def test_a_kubelet_takes_nothing_from_strangers(cluster: Lab) -> None:
    for machine in cluster.nodes:
        url = f"https://{cluster.address(machine)}:10250/pods"
        code = cluster.run(cluster.masters[0], f"curl -sS -o /dev/null -w '%{{http_code}}' --cacert {SSL}/ca.pem {url}")
        assert code == "401", f"the kubelet of {machine} should not answer a stranger: {code}"


def test_etcd_takes_clients_with_a_certificate_only(cluster: Lab) -> None:
    for machine in cluster.etcd:
        url = f"https://{cluster.address(machine)}:2379/version"
        said = cluster.run(cluster.etcd[0], f"curl -sS --cacert /opt/etcd/ssl/ca.pem {url} 2>&1; exit 0")
        assert said.startswith("curl: ("), f"{machine} should ask for a certificate, not answer: {said}"


def test_other_machines_find_secure_ports_only(cluster: Lab) -> None:
    """What listens beyond the loopback, as `ss` has it."""
    for machine, text in cluster.everywhere("ss -Htlnp").items():
        for line in text.splitlines():
            address, _, port = line.split()[3].rpartition(":")
            program = re.search(r'users:\(\("([^"]+)"', line)
            if program and not address.startswith("127."):
                assert (program[1], port) in SECURE | PLAIN, f"{machine} should not listen for others: {line}"
    for number in (10251, 10252):
        line = cluster.run(cluster.masters[0], f"ss -Htln sport = :{number}")
        assert "127.0.0.1" in line, f"port {number} should be the master's own: {line}"


def test_every_key_has_mode_0600(cluster: Lab) -> None:
    script = (
        "find / -xdev \\( -path /proc -o -path /sys -o -path /usr/share -o -path /usr/lib \\) -prune -o -type f "
        "-size -200k -print0 | xargs -0 grep -ls -e 'PRIVATE KEY-----' | xargs -r stat -c '%a %U:%G %n'"
    )
    for machine, text in cluster.everywhere(script).items():
        has_keys = machine not in cluster.load_balancers
        assert ("/opt/" in text) == has_keys, f"all but load balancers should have keys; {machine}:\n{text}"
        open_ones = [line for line in text.splitlines() if not line.startswith("600 root:root ")]
        assert not open_ones, f"{machine}: keys should have mode 0600 and be root's: {open_ones}"


@pytest.mark.parametrize("path", ["/opt/kubernetes/cfg/token.csv", "/opt/kubernetes/cfg/admin.kubeconfig"])
def test_a_masters_secret_file_is_roots_alone(cluster: Lab, path: str) -> None:
    for machine in cluster.masters:
        assert cluster.run(machine, f"stat -c '%a %U' {path}").strip() == "600 root", f"{machine}:{path} is too open"


def test_an_ordinary_user_of_a_machine_finds_no_secret(cluster: Lab) -> None:
    """All that the user may read of ours, of the journals and of the running command lines."""
    known = secrets(cluster)
    assert len(known) > 15, f"these should be all secrets of the cluster: {list(known)}"
    script = (
        "su operator -c 'find /opt /etc /var/lib /var/log /usr/local /run /tmp -type f -readable -size -1000k "
        "-exec cat {} + 2>/dev/null; cat /proc/*/cmdline /proc/*/environ 2>/dev/null'; exit 0"
    )
    for machine, text in cluster.everywhere(script).items():
        found = spoken(known, text)
        assert not found, f"an ordinary user on {machine} should not be able to read {found}"


def test_no_secret_is_in_a_log(cluster: Lab) -> None:
    known = secrets(cluster)
    for machine, text in cluster.everywhere(
        "journalctl --no-pager -o cat; cat /opt/kubernetes/logs/* 2>/dev/null; exit 0"
    ).items():
        found = spoken(known, text)
        assert not found, f"the logs of {machine} should not tell {found}"
