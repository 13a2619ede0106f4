"""kubeconfigs refer to paths, embed PEM texts, and say what kubectl expects."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.pki.kubeconfig import kubeconfig

SSL = PurePosixPath("/opt/kubernetes/ssl")
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nBBBB\n-----END EC PRIVATE KEY-----\n"

AS_KUBECTL_WRITES_IT = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /opt/kubernetes/ssl/ca.pem
    server: https://192.168.80.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kube-proxy
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: kube-proxy
  user:
    client-certificate: /opt/kubernetes/ssl/kube-proxy.pem
    client-key: /opt/kubernetes/ssl/kube-proxy-key.pem
"""


def by_paths() -> str:
    return kubeconfig(
        server="https://192.168.80.10:6443",
        user="kube-proxy",
        ca=SSL / "ca.pem",
        certificate=SSL / "kube-proxy.pem",
        key=SSL / "kube-proxy-key.pem",
    )


def with_token(token: str) -> str:
    return kubeconfig(server="https://a:6443", user="kubelet-bootstrap", ca=PEM, token=token)


def test_paths_are_referred_to_in_the_form_that_kubectl_writes() -> None:
    assert by_paths() == AS_KUBECTL_WRITES_IT
    assert by_paths() == by_paths()


def test_pem_texts_are_embedded_each_on_one_line() -> None:
    long = PEM.replace("AAAA", "A" * 3000)
    text = kubeconfig(server="https://a:6443", user="admin", ca=long, certificate=PEM, key=KEY)
    read = yaml.safe_load(text)
    user, cluster = read["users"][0]["user"], read["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == long
    assert base64.b64decode(user["client-certificate-data"]).decode() == PEM
    assert base64.b64decode(user["client-key-data"]).decode() == KEY
    assert len(text.splitlines()) == len(AS_KUBECTL_WRITES_IT.splitlines())


def test_the_context_joins_the_cluster_and_the_user_that_are_there() -> None:
    read = yaml.safe_load(by_paths())
    [context], [cluster], [user] = read["contexts"], read["clusters"], read["users"]
    assert read["current-context"] == context["name"]
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_token_is_text_whatever_it_looks_like(token: str) -> None:
    assert yaml.safe_load(with_token(token))["users"][0]["user"] == {"token": token}


@pytest.mark.parametrize("token", ["12345678901234567890123456789012", "12e45", "0x12", "yes"])
def test_a_token_that_go_would_read_as_a_number_is_quoted(token: str) -> None:
    assert f'token: "{token}"' in with_token(token)


@pytest.mark.parametrize(
    "credentials",
    [{}, {"certificate": PEM}, {"key": KEY}, {"certificate": PEM, "key": KEY, "token": "abc"}],
)
def test_credentials_that_are_not_one_whole_kind_are_refused(credentials: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a certificate and its key, or a token"):
        kubeconfig(server="https://a:6443", user="admin", ca=PEM, **credentials)


def test_a_path_given_as_text_is_refused_and_not_embedded() -> None:
    with pytest.raises(ValueError, match="certificate-authority: give a path as PurePosixPath"):
        kubeconfig(server="https://a:6443", user="admin", ca="/opt/kubernetes/ssl/ca.pem", token="abc")
