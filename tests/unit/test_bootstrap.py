"""Bootstrap tokens: one that stays is the guide's, one that ends is a Secret, and nothing of the other is left."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cluster_samples import guide, here

from kubeinfra.checks.secrets import needed_secrets
from kubeinfra.components import bootstrap, control_plane, node
from kubeinfra.components.flags import apiserver_flags
from kubeinfra.machine.render import template
from kubeinfra.machine.state import PathState
from kubeinfra.machine.wanted import compare, texts_of
from kubeinfra.paths import TOKEN_CSV
from kubeinfra.pki.ca import CA
from kubeinfra.pki.secrets import ClusterSecrets
from kubeinfra.pki.spec import CertificateSpec

NOW = datetime(2026, 11, 26, 10, 0, 0, tzinfo=UTC)
ENDS: dict[str, Any] = {"bootstrap_tokens": "secret"}
CAS = {name: CA.create(name, 1) for name in ("etcd", "kubernetes", "front-proxy")}
SECRETS = ClusterSecrets(
    {"etcd": CAS["etcd"], "kubernetes": CAS["kubernetes"], "front-proxy": CAS["front-proxy"]}, bootstrap_token="token"
)


def test_the_guide_has_the_token_that_stays_and_newer_releases_one_that_ends() -> None:
    versions = ["1.20.15", "1.33.13", "1.34.0", "1.37.2"]
    assert [guide(kubernetes_version=one).bootstrap_tokens for one in versions] == ["static"] * 2 + ["secret"] * 2
    assert guide(kubernetes_version="1.37.2", bootstrap_tokens="static").bootstrap_tokens == "static"


@pytest.mark.parametrize("settings", [{}, ENDS], ids=["static", "secret"])
def test_the_api_server_reads_a_file_of_tokens_only_if_there_is_one(settings: dict[str, Any]) -> None:
    found = guide(**settings)
    flags = apiserver_flags(found, found.masters[0])
    assert ("token-auth-file" in flags, flags["enable-bootstrap-token-auth"]) == (not settings, "true")
    assert ("bootstrap-token" in needed_secrets(found)) is (not settings)


def test_the_file_of_tokens_goes_and_is_not_read_for_that() -> None:
    found = here(guide(**ENDS), "m1")
    wanted = [item for item in control_plane.describe(found).files if item.path == TOKEN_CSV]
    there = {TOKEN_CSV: PathState("file", mode="600")}
    assert [change.sentence for change in compare(wanted, there)] == [f"remove {TOKEN_CSV}"]
    assert compare(wanted, {}) == []
    assert TOKEN_CSV not in texts_of(wanted), "a fact would print it"


@pytest.mark.parametrize("settings", [{}, ENDS], ids=["static", "secret"])
def test_whoever_has_the_token_may_ask_for_a_certificate_and_nobody_else(settings: dict[str, Any]) -> None:
    text = template("control_plane/rbac.yaml.j2", joiner=bootstrap.subject(guide(**settings)))
    bindings = {one["metadata"]["name"]: one["subjects"] for one in yaml.safe_load_all(text) if one}
    who = (
        {"kind": "Group", "name": "system:bootstrappers:kubeinfra"}
        if settings
        else {"kind": "User", "name": "kubelet-bootstrap"}
    )
    for name in ("kubeinfra:bootstrap-node", "kubeinfra:approve-node-certificate"):
        assert bindings[name] == [{"apiGroup": "rbac.authorization.k8s.io", **who}]


def test_a_secret_has_what_the_api_server_wants_of_it() -> None:
    token = bootstrap.new_token()
    assert re.fullmatch("[a-z][a-z0-9]{5}[.][a-z][a-z0-9]{15}", token), "BootstrapTokenPattern, and no number"
    assert bootstrap.new_token() != token
    found = yaml.safe_load(bootstrap.secret_manifest(token, "for n1", NOW))
    identity, secret = token.split(".")
    assert (found["metadata"]["namespace"], found["metadata"]["name"]) == ("kube-system", f"bootstrap-token-{identity}")
    assert found["type"] == "bootstrap.kubernetes.io/token"
    assert found["stringData"] == {
        "description": "for n1",
        "token-id": identity,
        "token-secret": secret,
        "expiration": "2026-11-26T11:00:00Z",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeinfra",
    }


def test_a_token_of_digits_stays_text() -> None:
    found = yaml.safe_load(bootstrap.secret_manifest("123456.0123456789012345", "", NOW))["stringData"]
    assert (found["token-id"], found["token-secret"]) == ("123456", "0123456789012345")


def kubeconfigs(settings: dict[str, Any], joins: bool, token: str | None = "a.b") -> list[Any]:
    found = replace(here(guide(**settings), "n1"), secrets=replace(SECRETS, bootstrap_token=token), joins=joins)
    return [item for item in node.describe(found).files if item.path == node.BOOTSTRAP_KUBECONFIG]


def test_only_a_node_that_joins_gets_a_token_that_ends() -> None:
    (item,) = kubeconfigs(ENDS, joins=True)
    assert yaml.safe_load(item.content)["users"][0]["user"] == {"token": "a.b"}
    assert (item.mode, item.secret) == ("600", True)
    assert kubeconfigs(ENDS, joins=False) == []
    assert len(kubeconfigs({}, joins=False)) == 1


def test_a_plan_has_no_token_to_show() -> None:
    assert [item.content for item in kubeconfigs(ENDS, joins=True, token=None)] == [None]


@pytest.mark.parametrize(("after", "good"), [(timedelta(0), True), (timedelta(days=400), False)])
def test_a_node_asks_anew_when_its_certificate_has_ended(after: timedelta, good: bool) -> None:
    issued = CAS["kubernetes"].issue(CertificateSpec("system:node:n1", "client", "system:nodes"), 300, NOW)
    assert bootstrap.is_good(issued.certificate_pem, NOW + after) is good


@pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_none(text: str) -> None:
    assert not bootstrap.is_good(text, NOW)
