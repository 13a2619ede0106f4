"""
API servers and pods: of a master that is no node, and of masters that are tainted nodes, an admission webhook and an
APIService. After test_9_upgrade.py, and on its cluster: master one is a node of it, three becomes one here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from string import Template

import pytest
from invocation import Invocation
from laboratory import Lab, until
from observe import assert_finished, processes, restarted
from takeover import STACKED

from kubeinfra.pki.ca import CA
from kubeinfra.pki.spec import CertificateSpec

TAINTED = STACKED.replace('node = ["one", "two"]', 'node = ["one", "two", "three"]')
# One pod on the ordinary node, with two servers: the webhook that goes with the e2e tests, and one that answers every
# path with the pod's name. Both show the same certificate.
POD = Template("""\
apiVersion: v1
kind: Namespace
metadata: {name: lab-webhooks, labels: {lab: webhooks}}
---
apiVersion: v1
kind: Secret
metadata: {name: serving, namespace: lab-webhooks}
type: kubernetes.io/tls
data: {tls.crt: $certificate, tls.key: $key}
---
apiVersion: v1
kind: Pod
metadata: {name: answers, namespace: lab-webhooks, labels: {app: answers}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: serving, secret: {secretName: serving}}]
  containers:
  - name: webhook
    image: "$image"
    args: [webhook, --port=8443, --tls-cert-file=/serving/tls.crt, --tls-private-key-file=/serving/tls.key]
    volumeMounts: [{name: serving, mountPath: /serving}]
    readinessProbe: {httpGet: {scheme: HTTPS, path: /readyz, port: 8443}, periodSeconds: 1}
  - name: extension
    image: "$image"
    args: [netexec, --http-override=/hostname, --http-port=9443, --tls-cert-file=/serving/tls.crt,
      --tls-private-key-file=/serving/tls.key]
    volumeMounts: [{name: serving, mountPath: /serving}]
    readinessProbe: {httpGet: {scheme: HTTPS, path: /, port: 9443}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: answers, namespace: lab-webhooks}
spec:
  selector: {app: answers}
  ports: [{name: webhook, port: 443, targetPort: 8443}, {name: extension, port: 444, targetPort: 9443}]
""")
WEBHOOK = Template("""\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: lab-webhooks}
webhooks:
- name: configmaps.lab.example
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  namespaceSelector: {matchLabels: {lab: webhooks}}
  rules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}]
  clientConfig: {caBundle: $ca, service: {namespace: lab-webhooks, name: answers, path: /configmaps, port: 443}}
""")
API_SERVICE = Template("""\
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.lab.example}
spec:
  group: lab.example
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 10
  caBundle: $ca
  service: {namespace: lab-webhooks, name: answers, port: 444}
""")
# What that webhook refuses, and with which words.
UNWANTED = "webhook-e2e-test=webhook-disallow"
REFUSED = (
    'Error from server (the configmap contains unwanted key and value): admission webhook "configmaps.lab.example" '
    "denied the request: the configmap contains unwanted key and value"
)
NOT_REACHED = 'failed calling webhook "configmaps.lab.example"'
TIMES = 5


@pytest.fixture(scope="module")
def ca(stacked: Lab) -> str:
    """The pod runs, and the webhook is registered; gives the CA of its certificate as the API takes it."""
    now = datetime.now(UTC)
    ca = CA.create("webhooks", 1, now)
    name = "answers.lab-webhooks.svc"
    issued = ca.issue(CertificateSpec(name, "server", dns_names=(name,)), 1, now)
    image = stacked.run("two", "docker images --format '{{.Repository}}:{{.Tag}}' | grep /agnhost:").strip()
    certificate, key, bundle = (
        b64encode(pem.encode()).decode() for pem in (issued.certificate_pem, issued.key_pem, ca.bundle_pem)
    )
    stacked.kubectl("apply", "-f", "-", stdin=POD.substitute(image=image, certificate=certificate, key=key))
    stacked.kubectl("-n", "lab-webhooks", "wait", "pod/answers", "--for=condition=Ready", "--timeout=60s")
    stacked.kubectl("apply", "-f", "-", stdin=WEBHOOK.substitute(ca=bundle))
    return bundle


def configmap(lab: Lab, master: str, literal: str) -> str:
    """What kubectl says when this master's API server is to create it; nothing is stored."""
    server = f"--server=https://{lab.address(master)}:6443"
    create = ["create", "configmap", "asked", f"--from-literal={literal}", "--dry-run=server", "-o", "name"]
    return lab.kubectl(server, "-n", "lab-webhooks", *create, check=False).strip()


def extensions(lab: Lab) -> dict[str, str]:
    """Each master -> what its API server answers to a request for something of the APIService's group."""
    ask = ["get", "--raw", "/apis/lab.example/v1/any"]
    servers = {master: f"--server=https://{lab.address(master)}:6443" for master in lab.masters}
    return {master: lab.kubectl(server, *ask, check=False).strip() for master, server in servers.items()}


def pods_from_masters(done: Invocation) -> set[tuple[str, str, str]]:
    """The rows of the table of health about it: masters, state, how what it says begins."""
    row = r"^pods from masters +(\S+(?: \S+)*) +(healthy|note) +(reached|not reached)\b"
    return set(re.findall(row, done.text, re.MULTILINE))


def test_a_run_notes_the_master_that_is_no_node(stacked_run: tuple[Lab, Invocation]) -> None:
    done = stacked_run[1]
    assert pods_from_masters(done) == {("one", "healthy", "reached"), ("three", "note", "not reached")}, done.text


def test_a_webhook_is_called_by_the_master_that_is_a_node_only(stacked: Lab, ca: str) -> None:
    until("master one knows of the webhook", lambda: configmap(stacked, "one", UNWANTED) == REFUSED, 30)
    assert configmap(stacked, "one", "a=b") == "configmap/asked", "what the webhook allows should be allowed"
    until("so does three", lambda: NOT_REACHED in configmap(stacked, "three", "a=b"), 30)


@pytest.fixture(scope="module")
def tainted(stacked: Lab, figures: list[str]) -> Lab:
    """As the README has it: all masters are nodes; by one ordinary run."""
    lab = Lab("stacked", inventory=TAINTED)
    (lab.directory / "inventory.py").write_text(TAINTED)
    before = processes(lab)
    done = lab.deploy("--json")
    figures.append(f"a master becomes a node: {done.seconds:.1f} s")
    assert pods_from_masters(done) == {("one three", "healthy", "reached")}, f"no note should be left:\n{done.text}"
    # The others of a master end by themselves if they lose their lease, as on a machine that is too busy.
    moved = [one for one in restarted(before, processes(lab)) if one[1] in ("etcd", "kube-apiserver")]
    assert not moved, f"a node more should restart no API server and no etcd: {moved}"
    assert_finished(lab, done)
    return lab


def test_a_master_becomes_a_node_with_its_taint_by_one_run(tainted: Lab) -> None:
    nodes = {one["metadata"]["name"]: one["spec"].get("taints", []) for one in tainted.get("nodes")["items"]}
    own = [{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]
    assert nodes == {tainted.address("one"): own, tainted.address("two"): [], tainted.address("three"): own}


def test_a_webhook_in_a_pod_answers_every_master(tainted: Lab, ca: str) -> None:
    for master in tainted.masters:
        said = {(configmap(tainted, master, UNWANTED), configmap(tainted, master, "a=b")) for _ in range(TIMES)}
        assert said == {(REFUSED, "configmap/asked")}, f"the API server of {master} should call the webhook: {said}"


def test_an_api_service_in_a_pod_answers_through_every_master(tainted: Lab, ca: str) -> None:
    tainted.kubectl("apply", "-f", "-", stdin=API_SERVICE.substitute(ca=ca))
    tainted.kubectl("wait", "apiservice/v1.lab.example", "--for=condition=Available", "--timeout=60s")
    by_the_pod = dict.fromkeys(tainted.masters, "answers")
    until("all API servers know of it", lambda: (said := extensions(tainted)) == by_the_pod or said, 30)
    for _ in range(TIMES):
        assert (said := extensions(tainted)) == by_the_pod, f"each API server should be answered by the pod: {said}"
