"""How the lab's tests read phases and their times from what a run prints."""

from __future__ import annotations

import pytest
from invocation import Invocation, ends

QUIET = """\
--> Loading config...
    [master01 master02 ... 98 more] write /etc/hosts
        +192.168.80.10 master01
    [node01] note: the kernel has no module overlay; what needs it will not work here
--- 9.8 s  operating systems are ready (0.3 s)
    [master01] waits until etcd01 is healthy: 6 s so far
--- 104.1 s  nodes are Ready, and flannel runs (12.0 s)
component       state  says
etcd      etcd01 etcd02 etcd03  healthy  3.4.26
succeeded in 104 s: 6 of 6 machines changed, 0 restarts
"""
EVERYTHING = """\
--> Starting operation: host | files
    [master01] Success

--> Starting operation: --- operating systems are ready
    [master01] No changes

--> Starting operation: --- nodes are Ready, and flannel runs
"""


def run_that_said(printed: str) -> Invocation:
    said = tuple((float(second), line) for second, line in enumerate(printed.splitlines()))
    return Invocation(("pyinfra",), 0, 0.0, 0.0, "", said)


@pytest.mark.parametrize("printed", [QUIET, EVERYTHING], ids=["as it is", "with -v"])
def test_phases_are_read_from_both_forms(printed: str) -> None:
    found = run_that_said(printed).phases
    assert list(found) == ["operating systems are ready", "nodes are Ready, and flannel runs"]
    assert [line for line in printed.splitlines() if ends("operating systems are ready")(line)] == [
        printed.splitlines()[int(found["operating systems are ready"])]
    ]


def test_what_is_told_of_a_machine_is_read_alone_and_with_others() -> None:
    run = run_that_said(QUIET)
    assert run.told("master02") == ["write /etc/hosts", "+192.168.80.10 master01"]
    assert run.told("node01") == ["note: the kernel has no module overlay; what needs it will not work here"]
