"""What an operating system does not have is a note, in one sentence; the deploy continues without it."""

from __future__ import annotations

from dataclasses import replace

from kubeinfra.checks.system import missing_modules, refused, swap_scripts, sysctls_out_of_reach
from kubeinfra.machine.state import SystemState

FOUND = SystemState(
    hostname="n1",
    firewalls=(),
    selinux="",
    swaps=(),
    swap_units=(),
    modules={"overlay": "loaded", "br_netfilter": "missing", "ip_vs": "loadable"},
    sysctls={"vm.swappiness": "60", "net.ipv4.ip_forward": "0", "vm.panic": "1"},
    read_only=("vm.swappiness", "vm.panic"),
)
WANTED = {
    "vm.swappiness": "0",
    "net.ipv4.ip_forward": "1",
    "vm.panic": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}


def test_a_module_that_the_kernel_does_not_have_is_a_note() -> None:
    (note,) = missing_modules("n1", FOUND)
    assert note.text() == "the kernel has no module br_netfilter; what needs it will not work here"
    assert (note.machine, note.level) == ("n1", "note")


def test_sysctls_that_are_not_there_or_cannot_be_set_are_notes() -> None:
    assert [note.text() for note in sysctls_out_of_reach("n1", FOUND, WANTED)] == [
        "sysctl vm.swappiness is 60, wanted 0, and cannot be set from inside this machine",
        "the kernel has no sysctl net.bridge.bridge-nf-call-iptables (wanted 1)",
    ]


def test_a_sysctl_that_comes_with_a_module_is_not_missing() -> None:
    later = replace(FOUND, modules={"br_netfilter": "loadable"})
    assert [note.found for note in sysctls_out_of_reach("n1", later, WANTED)] == ["sysctl vm.swappiness is 60"]


def test_what_was_refused_says_what_was_tried() -> None:
    note = refused("n1", "swap off: /dev/sda2", "swapoff -a")
    assert note.text() == "swap off: /dev/sda2: this machine does not allow it (swapoff -a changed nothing)"


def test_what_switches_swap_on_and_is_not_ours_is_told() -> None:
    found = replace(FOUND, swap_scripts=("/etc/rc.local", "/etc/cron.d/swap"))
    assert [note.sentence() for note in swap_scripts("n1", found)] == [
        f"n1: {path} switches swap on at boot; the kubelet does not start while there is swap: take that line out"
        for path in found.swap_scripts
    ]
