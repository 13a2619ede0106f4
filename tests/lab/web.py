"""A web server on each node, and one Service before them: with it, tests ask what traffic flows."""

from __future__ import annotations

from typing import Any

from laboratory import Lab

from kubeinfra.releases.catalogue import release

NAMESPACE = "lab-test"
NODE_PORT = 30080
# The time for an answer is that of an emulated machine.
PODS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: web, namespace: {NAMESPACE}}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: IMAGE
        command: [/agnhost, netexec, --http-port=8080]
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1, timeoutSeconds: 10}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {NAMESPACE}}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""


def serve(lab: Lab) -> None:
    """Until all of them are ready; their image is the one that the nodes have for the traffic check."""
    version = lab.get("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v")
    lab.kubectl("apply", "-f", "-", stdin=PODS.replace("IMAGE", release(version).verify_image))
    lab.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/web", "--timeout=170s")


def remove(lab: Lab) -> None:
    lab.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")


def pods(lab: Lab) -> list[Any]:
    """The pods, as the API has them."""
    items: list[Any] = lab.get("-n", NAMESPACE, "pods", "-l", "app=web")["items"]
    return items


def address(lab: Lab) -> str:
    """The Service's cluster address."""
    found: str = lab.get("-n", NAMESPACE, "service", "web")["spec"]["clusterIP"]
    return found


def connect(lab: Lab, pod: str, target: str, seconds: int = 5) -> None:
    """From a pod of it, to "address:port"."""
    lab.kubectl("-n", NAMESPACE, "exec", pod, "--", "/agnhost", "connect", f"--timeout={seconds}s", target)
