"""What the inventory says of a host is looked up as pyinfra itself looks it up, only less often."""

from __future__ import annotations

from typing import Any

import pytest
from pyinfra.api import Config, Host, Inventory, State, arguments
from pyinfra.api.host import HostData
from pyinfra.api.util import get_operation_order_from_stack

from kubeinfra.run.replaced import lookups


@pytest.fixture
def host() -> Host:
    """Each layer says something of its own, and something that a nearer one says otherwise."""
    inventory = Inventory(
        (["@local", "other"], {"everywhere": "all", "_sudo": True, "in_group": "all", "own": "all", "option": "all"}),
        override_data={"option": "--data", "_su_user": "postgres"},
        first=(["@local"], {"in_group": "first", "own": "first", "option": "first"}),
        second=([("@local", {"own": ["host"], "option": "host"})], {"in_group": "second", "_shell_executable": "bash"}),
    )
    State(inventory, Config())
    found = inventory.get_host("@local")
    found.data.assigned = "during the deploy"
    found.data.own_copy = ["x"]
    return found


def test_pyinfra_is_not_replaced_by_a_test() -> None:
    assert HostData.__getattr__ is not lookups._get_data


@pytest.mark.parametrize("key", ["everywhere", "in_group", "own", "option", "assigned", "own_copy", "_sudo", "missing"])
def test_a_value_is_that_of_the_nearest_layer(host: Host, key: str) -> None:
    try:
        expected: Any = getattr(host.data, key)
    except AttributeError:
        with pytest.raises(AttributeError):
            lookups._get_data(host.data, key)
    else:
        assert lookups._get_data(host.data, key) == expected
        assert lookups._get_data(host.data, key) == expected, "the second look is at what was merged"


def test_what_a_deploy_says_is_a_default(host: Host) -> None:
    host.current_deploy_data = {"own": "deploy", "of_deploy": 1}
    assert lookups._get_data(host.data, "of_deploy") == host.data.of_deploy == 1
    assert lookups._get_data(host.data, "own") == host.data.own == ["host"]


def test_a_value_is_a_copy(host: Host) -> None:
    lookups._get_data(host.data, "own").append("changed")
    assert lookups._get_data(host.data, "own") == ["host"]


def test_the_arguments_of_an_operation_are_the_same(host: Host) -> None:
    given: dict[str, Any] = {"_timeout": 5, "path": "/x"}
    expected = arguments.pop_global_arguments(host.state, host, given.copy())
    left = given.copy()
    assert lookups._pop_arguments(host.state, host, left) == expected
    assert left == {"path": "/x"}
    assert expected[0]["_sudo"] is True
    assert expected[0]["_su_user"] == "postgres"


@pytest.mark.parametrize("cli", [False, True], ids=["api", "command line"])
@pytest.mark.parametrize(
    "deploy", [None, __file__, "/elsewhere/deploy.py"], ids=["no file", "this file", "another file"]
)
def test_the_order_of_an_operation_is_the_same(
    host: Host, monkeypatch: pytest.MonkeyPatch, deploy: str | None, cli: bool
) -> None:
    monkeypatch.setattr("pyinfra.is_cli", cli)
    state = host.state
    state.current_deploy_filename, state.current_op_file_number = deploy, 7
    found = {order: order(state) for order in (get_operation_order_from_stack, lookups._order)}
    assert found[lookups._order] == found[get_operation_order_from_stack]
    assert len(found[lookups._order]) > 1 or deploy == "/elsewhere/deploy.py"
