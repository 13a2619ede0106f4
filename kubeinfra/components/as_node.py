"""
What a machine asks the API as its kubelet does: with the kubelet's certificate, at the endpoint that it uses now.

It may ask for its own Node by name, and for pods with fieldSelector spec.nodeName=<its own>: from 1.32 on for nothing
else of these (AuthorizeNodeWithSelectors; plugin/pkg/auth/authorizer/node of kubernetes). The rest a master is asked.

curl asks, where it can read the elliptic key that a kubelet makes for itself. CentOS 7's, which is built with NSS,
cannot ("unable to load client key: -8178"): there openssl does, in the simplest HTTP that there is.
"""

from __future__ import annotations

from shlex import quote

from kubeinfra.components.direct import CURL
from kubeinfra.paths import KUBELET_CLIENT_PEM, KUBELET_KUBECONFIG, KUBERNETES_CA

_SECONDS = 5
_BY_NSS = "curl --version | grep -q NSS/"
_SERVER = f"sed -n 's#^ *server: https://##p' {KUBELET_KUBECONFIG}"
_CURL = (
    f"{CURL} -sS --max-time {_SECONDS} --cacert {KUBERNETES_CA} --cert {KUBELET_CLIENT_PEM} --key {KUBELET_CLIENT_PEM}"
)
_OPENSSL = (
    f"server=$({_SERVER}); said=$(name=${{server%:*}}; case $name in "
    '*[!0-9.]*) set -- -servername "$name" -verify_hostname "$name" ;; *) set -- -verify_ip "$name" ;; esac; '
    f"printf '%s\\r\\n' @lines@ | timeout {_SECONDS} openssl s_client -quiet -verify_return_error "
    f'-connect "$server" "$@" -CAfile {KUBERNETES_CA} -cert {KUBELET_CLIENT_PEM} -key {KUBELET_CLIENT_PEM} '
    "2>/dev/null | tr -d '\\r'); "
    "status=$(printf '%s\\n' \"$said\" | sed -n '1s/^HTTP[^ ]* \\([0-9]*\\).*/\\1/p')"
)
# As curl --fail does.
_BODY = (
    "case $status in 2??) printf '%s\\n' \"$said\" | sed '1,/^$/d' ;; "
    '*) echo "the API answered ${status:-nothing}" >&2; false ;; esac'
)


def as_node(path: str) -> str:
    """Shell that prints what a GET of `path` answers, and fails if that is an error."""
    by_curl = f'{_CURL} -f "https://$({_SERVER})"{quote(path)}'
    return f"{{ if {_BY_NSS}; then {_by_openssl(path)}; {_BODY}; else {by_curl}; fi; }}"


def status_as_node(path: str) -> str:
    """Shell that prints the number with which a GET of `path` is answered."""
    by_curl = f"{_CURL} -o /dev/null -w '%{{http_code}}' \"https://$({_SERVER})\"{quote(path)}"
    return f'{{ if {_BY_NSS}; then {_by_openssl(path)}; echo "$status"; else {by_curl}; fi; }}'


def _by_openssl(path: str) -> str:
    lines = [quote(f"GET {path} HTTP/1.0"), '"Host: $server"', "''"]
    return _OPENSSL.replace("@lines@", " ".join(lines))
