"""How the lab's tests read the kernel's table of virtual servers, and the API's Services."""

from __future__ import annotations

from ipvs import Server, servers, services

TABLE = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000001:01BB rr
  -> C0A8500A:192B      Masq    1      4          0
  -> C0A85014:192B      Masq    1      0          0
UDP  0A000002:0035 lc persistent 10800 FFFFFFFF
"""
SERVICE = {
    "kind": "Service",
    "metadata": {"namespace": "a", "name": "web"},
    "spec": {
        "clusterIP": "10.0.0.9",
        "ports": [{"name": "http", "port": 80}, {"name": "dns", "protocol": "UDP", "port": 53}],
    },
}
ENDPOINTS = {
    "kind": "Endpoints",
    "metadata": {"namespace": "a", "name": "web"},
    "subsets": [{"addresses": [{"ip": "10.244.1.2"}], "ports": [{"name": "http", "port": 8080}]}],
}


def test_virtual_servers_with_and_without_destinations() -> None:
    assert servers(TABLE) == {
        ("TCP", "10.0.0.1", 443): Server("rr", frozenset({("192.168.80.10", 6443), ("192.168.80.20", 6443)})),
        ("UDP", "10.0.0.2", 53): Server("lc", frozenset()),
    }


def test_each_port_of_a_service_has_its_own_endpoints() -> None:
    assert services([SERVICE, ENDPOINTS]) == {
        ("TCP", "10.0.0.9", 80): frozenset({("10.244.1.2", 8080)}),
        ("UDP", "10.0.0.9", 53): frozenset(),
    }


def test_a_service_without_an_address_is_none() -> None:
    assert services([{**SERVICE, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}]) == {}
