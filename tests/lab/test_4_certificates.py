"""Every certificate on every machine, read with openssl: who signed it, for whom, for what, for how long."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from laboratory import Lab

ETCD, KUBERNETES, FRONT_PROXY = (
    "/opt/etcd/ssl/ca.pem",
    "/opt/kubernetes/ssl/ca.pem",
    "/opt/kubernetes/ssl/front-proxy-ca.pem",
)
CAS = (ETCD, KUBERNETES, FRONT_PROXY)
CLIENT, SERVER = "TLS Web Client Authentication", "TLS Web Server Authentication"
SSL = "/opt/kubernetes/ssl"
LOOPBACK = "IP Address:127.0.0.1"
YEAR = 365 * 86400


@dataclass(frozen=True)
class Wanted:
    """
    A certificate as the components that read it need it.

    + group: on which machines; + subject: as openssl prints it; "{address}" and "{name}" are the machine's
    + names: DNS names and addresses that must be in it
    """

    group: str
    path: str
    ca: str
    subject: str
    usages: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.group}:{self.path}"


API_NAMES = (
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
    "IP Address:10.0.0.1",
    "IP Address:{address}",
    LOOPBACK,
)
CERTIFICATES = (
    Wanted("etcd", "/opt/etcd/ssl/server", ETCD, "CN = {name}", (SERVER, CLIENT), (LOOPBACK, "IP Address:{address}")),
    Wanted("master", f"{SSL}/kube-apiserver", KUBERNETES, "CN = kube-apiserver", (SERVER,), API_NAMES),
    Wanted(
        "master", f"{SSL}/kube-apiserver-kubelet-client", KUBERNETES, "CN = kube-apiserver-kubelet-client", (CLIENT,)
    ),
    Wanted("master", f"{SSL}/kube-apiserver-etcd-client", ETCD, "CN = kube-apiserver-etcd-client", (CLIENT,)),
    Wanted("master", f"{SSL}/front-proxy-client", FRONT_PROXY, "CN = front-proxy-client", (CLIENT,)),
    Wanted("master", f"{SSL}/kube-controller-manager", KUBERNETES, "CN = system:kube-controller-manager", (CLIENT,)),
    Wanted("master", f"{SSL}/kube-scheduler", KUBERNETES, "CN = system:kube-scheduler", (CLIENT,)),
    Wanted("master", f"{SSL}/admin", KUBERNETES, "O = system:masters, CN = admin", (CLIENT,)),
    Wanted("node", f"{SSL}/kube-proxy", KUBERNETES, "CN = system:kube-proxy", (CLIENT,)),
    Wanted(
        "node",
        f"{SSL}/kubelet-serving",
        KUBERNETES,
        "O = system:nodes, CN = system:node:{address}",
        (SERVER,),
        (LOOPBACK, "IP Address:{address}"),
    ),
    Wanted(
        "node",
        f"{SSL}/kubelet-client-current",
        KUBERNETES,
        "O = system:nodes, CN = system:node:{address}",
        (CLIENT,),
    ),
)


# Of a certificate {pem} with its {key}; {ca} is its CA's, as the first master has it.
QUESTIONS = {
    "signature": "openssl verify -x509_strict -CAfile {ca} {pem}",
    "text": "openssl x509 -in {pem} -noout -text",
    "public key of the key": "openssl pkey -in {key} -pubout",
    "public key of the certificate": "openssl x509 -in {pem} -noout -pubkey",
    "good for nearly ten years": f"openssl x509 -in {{pem}} -noout -checkend {9.99 * YEAR:.0f} >/dev/null && echo yes",
    "good for longer": f"openssl x509 -in {{pem}} -noout -checkend {10.01 * YEAR:.0f} >/dev/null && echo yes",
}
Answers = dict[tuple[str, Wanted], dict[str, str]]
CUT = "---- 8< ----"


@pytest.fixture(scope="module")
def answers(cluster: Lab) -> Answers:
    """(machine, certificate) -> question -> what openssl says there; all of a machine's in one command."""
    cas = {ca: cluster.run(cluster.masters[0], f"cat {ca if ca != ETCD else SSL + '/etcd-ca.pem'}") for ca in CAS}
    with ThreadPoolExecutor(len(cluster.machines)) as pool:
        found = pool.map(lambda machine: answers_of(cluster, machine, cas), cluster.machines)
    return {place: said for one in found for place, said in one.items()}


def answers_of(cluster: Lab, machine: str, cas: dict[str, str]) -> Answers:
    mine = [wanted for wanted in CERTIFICATES if machine in cluster.group(wanted.group)]
    script = ["cd $(mktemp -d)"]
    script += [f"cat >{name(ca)} <<'END'\n{pem.strip()}\nEND" for ca, pem in cas.items()]
    for wanted in mine:
        key = wanted.path + (".pem" if wanted.path.endswith("-current") else "-key.pem")
        for question in QUESTIONS.values():
            script += [question.format(ca=name(wanted.ca), pem=f"{wanted.path}.pem", key=key), f"echo '{CUT}'"]
    script += ["rm *; rmdir $PWD"]
    said = iter(cluster.run(machine, "exec 2>&1\n" + "\n".join(script)).split(f"{CUT}\n"))
    return {(machine, wanted): {question: next(said) for question in QUESTIONS} for wanted in mine}


def name(ca: str) -> str:
    return ca.strip("/").replace("/", "-")


@pytest.mark.parametrize("wanted", CERTIFICATES, ids=str)
def test_a_certificate_is_what_its_readers_need(cluster: Lab, answers: Answers, wanted: Wanted) -> None:
    for machine in cluster.group(wanted.group):
        place = f"{machine}:{wanted.path}.pem"
        said, text = answers[machine, wanted]["signature"], answers[machine, wanted]["text"]
        assert said.strip().endswith(": OK"), f"{place} should be signed by {wanted.ca}: {said}"
        fill = {"address": cluster.address(machine), "name": machine}
        subject = re.search(r"Subject: (.*)", text)
        assert subject and subject[1] == wanted.subject.format(**fill), f"{place} is for another subject: {subject}"
        usages = re.search(r"X509v3 Extended Key Usage:.*\n\s+(.*)", text)
        assert usages and set(usages[1].split(", ")) == set(wanted.usages), f"{place} has usages {usages}"
        names = re.search(r"X509v3 Subject Alternative Name:.*\n\s+(.*)", text)
        missing = {one.format(**fill) for one in wanted.names} - set(names[1].split(", ") if names else [])
        assert not missing, f"{place} should also be for {missing}"
        assert "CA:TRUE" not in text, f"{place} should be no CA"


@pytest.mark.parametrize("wanted", CERTIFICATES, ids=str)
def test_a_key_fits_its_certificate_and_is_its_machines_alone(cluster: Lab, answers: Answers, wanted: Wanted) -> None:
    keys = []
    for machine in cluster.group(wanted.group):
        said = answers[machine, wanted]
        of_key, of_certificate = said["public key of the key"], said["public key of the certificate"]
        assert of_key.startswith("-----BEGIN PUBLIC KEY-----"), f"{machine}: {wanted.path} should have a key: {of_key}"
        assert of_key == of_certificate, f"{machine}: the key of {wanted.path}.pem should be its own"
        keys.append(of_key)
    assert len(set(keys)) == len(keys), f"each machine should have a key of its own for {wanted.path}, not a shared one"


@pytest.mark.parametrize("wanted", CERTIFICATES, ids=str)
def test_a_certificate_lasts_ten_years(cluster: Lab, answers: Answers, wanted: Wanted) -> None:
    """Leap days apart; a certificate never outlives its CA, which was created minutes before it."""
    for machine in cluster.group(wanted.group):
        said = answers[machine, wanted]
        lasts = [said[question].strip() for question in ("good for nearly ten years", "good for longer")]
        assert lasts == ["yes", ""], f"{machine}:{wanted.path}.pem should end in 10 years: {lasts}"


def test_the_authorities_are_three_and_do_not_trust_each_other(cluster: Lab) -> None:
    master = cluster.masters[0]
    cas = [f"{SSL}/ca.pem", f"{SSL}/etcd-ca.pem", f"{SSL}/front-proxy-ca.pem"]
    for one in cas:
        text = cluster.run(master, f"openssl x509 -in {one} -noout -text")
        assert "CA:TRUE" in text and "Certificate Sign" in text, f"{one} should be a CA:\n{text}"
        trusting = [
            other
            for other in cas
            if cluster.run(master, f"openssl verify -CAfile {other} {one} >/dev/null 2>&1 && echo yes; exit 0")
        ]
        assert trusting == [one], f"{one} should be trusted by itself only, not by {trusting}"
    etcd = cluster.run(cluster.etcd[-1], f"cat {ETCD}")
    assert etcd == cluster.run(master, f"cat {SSL}/etcd-ca.pem"), "master and members should know one etcd CA"


def test_only_masters_hold_a_key_of_an_authority(cluster: Lab) -> None:
    """That of Kubernetes: the controller-manager signs with it. The others stay on the controller."""
    found = cluster.everywhere("find / -xdev -name 'ca-key.pem' -o -xdev -name '*-ca-key.pem'")
    wanted = {name: f"{SSL}/ca-key.pem" if name in cluster.masters else "" for name in cluster.machines}
    assert {name: text.strip() for name, text in found.items()} == wanted, f"CAs' keys are at {found}"


def test_listeners_show_the_certificates_on_the_disk(cluster: Lab) -> None:
    listeners = [(name, 2379, "/opt/etcd/ssl/server.pem") for name in cluster.etcd]
    listeners += [(name, 6443, f"{SSL}/kube-apiserver.pem") for name in cluster.masters]
    listeners += [(name, 10250, f"{SSL}/kubelet-serving.pem") for name in cluster.nodes]
    for machine, port, path in listeners:
        fingerprint = "openssl x509 -noout -fingerprint -sha256"
        connection = f"openssl s_client -connect {cluster.address(machine)}:{port} </dev/null 2>/dev/null"
        shown = cluster.run(machine, f"{connection} | {fingerprint}")
        stored = cluster.run(machine, f"{fingerprint} -in {path}")
        assert shown == stored, f"{machine}:{port} should show {path}: {shown} is not {stored}"
