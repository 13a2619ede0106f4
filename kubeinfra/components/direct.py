r"""
Programs that ask the cluster's own machines: never through a proxy, whatever a machine's environment says.

A proxy in /etc/environment is for packages and releases; it does not know what 127.0.0.1 of a machine is. `*` and not a
list of networks: older curls do not understand these. It stands as `\*` because the shell that has it is often quoted
more than once. `files/load_balancer/check-apiserver` and `templates/etcd/etcdctl.j2` say the same for themselves.
"""

from __future__ import annotations

CURL = r"curl --noproxy \*"
# Programs in Go: https://pkg.go.dev/golang.org/x/net/http/httpproxy. It is read before no_proxy.
WITHOUT_PROXY = r"env NO_PROXY=\*"
