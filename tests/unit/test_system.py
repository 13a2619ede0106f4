"""Files of which only a part is ours: our part is corrected, and every other line stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cluster_samples import cluster
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.components.host import sysctls
from kubeinfra.machine.edits import (
    HOSTS_BEGIN,
    HOSTS_END,
    fstab_swap_lines,
    fstab_without_swap,
    has_local_resolver,
    hosts_file,
    modules_conf,
    resolv_conf_for_pods,
    selinux_config,
    sysctl_conf,
)

CLUSTER = cluster()
BLOCK = f"""\
{HOSTS_BEGIN}
192.168.80.10 m1
192.168.80.11 n1
192.168.80.12 n2
{HOSTS_END}
"""


def hosts(text: str) -> str:
    return hosts_file(text, CLUSTER)


# Lines that a user, a provider's image or an earlier run may have left, in any order, our marks among them.
LINES = st.lists(
    st.sampled_from(
        [
            "127.0.0.1 localhost",
            "::1 ip6-localhost",
            "# mine",
            "",
            "10.1.1.1 a\fb",
            "10.1.1.2 caf\udce9\r",
            "192.168.80.10 m1",
        ]
        + [HOSTS_BEGIN, HOSTS_END] * 2
    ),
    max_size=12,
)


def test_the_block_comes_at_the_end_of_a_file_that_has_none() -> None:
    assert hosts("127.0.0.1 localhost\n") == f"127.0.0.1 localhost\n{BLOCK}"
    assert hosts("127.0.0.1 localhost") == f"127.0.0.1 localhost\n{BLOCK}", "a last line without an end"
    assert hosts("") == BLOCK


def test_an_older_block_is_replaced_where_it_stands() -> None:
    before = f"127.0.0.1 localhost\n{HOSTS_BEGIN}\n192.168.80.99 gone\n{HOSTS_END}\n10.1.1.1 mine\n"
    assert hosts(before) == f"127.0.0.1 localhost\n{BLOCK}10.1.1.1 mine\n"


@given(LINES)
def test_the_hosts_file_is_right_after_one_time(lines: list[str]) -> None:
    once = hosts("".join(f"{line}\n" for line in lines))
    assert BLOCK in once
    assert hosts(once) == once


@given(LINES)
def test_no_line_of_others_is_lost_or_moved(lines: list[str]) -> None:
    """A mark without its other half is a line like any other: from it on, nothing is ours."""
    text = "".join(f"{line}\n" for line in lines)
    once = hosts(text)
    kept = [line for line in lines if line not in (HOSTS_BEGIN, HOSTS_END)]
    outside = once.replace(BLOCK, "", 1).split("\n")
    if HOSTS_END not in lines or HOSTS_BEGIN not in lines:
        assert [line for line in outside if line not in (HOSTS_BEGIN, HOSTS_END, "")] == [line for line in kept if line]
    assert hosts(hosts(once)) == once


def test_a_begin_whose_end_was_removed_by_hand_costs_no_line_of_others() -> None:
    broken = f"{HOSTS_BEGIN}\n192.168.80.10 m1\n10.1.1.1 mine\n"
    assert hosts(hosts(broken)) == f"{broken}{BLOCK}"


FSTAB = """\
# /etc/fstab
UUID=1 / ext4 errors=remount-ro 0 1
UUID=2 none swap sw 0 0
/swapfile\tswap\tswap\tdefaults 0 0
#/dev/sdb none swap sw 0 0
/dev/swap /swap ext4 defaults 0 2
"""


def test_swap_lines_of_fstab_become_comments() -> None:
    assert fstab_without_swap(FSTAB) == FSTAB.replace(
        "UUID=2", "# kubeinfra: no swap under Kubernetes: UUID=2"
    ).replace("/swapfile", "# kubeinfra: no swap under Kubernetes: /swapfile")


def test_a_diff_of_fstab_shows_its_swap_lines_alone() -> None:
    text = "//nas/x /mnt cifs username=u,password=secret 0 0\n/swapfile none swap sw 0 0\n"
    assert fstab_swap_lines(text) == "/swapfile none swap sw 0 0\n"
    assert fstab_swap_lines(fstab_without_swap(text)) == fstab_without_swap(text).splitlines(keepends=True)[1]


FIELDS = st.text("ab/#swp=1\f", min_size=1, max_size=5) | st.just("swap")
FSTAB_LINES = st.builds(
    lambda indent, fields, gap: indent + gap.join(fields),
    st.sampled_from(["", " ", "\t"]),
    st.lists(FIELDS, max_size=6),
    st.sampled_from([" ", "\t", "  "]),
)


@given(st.lists(FSTAB_LINES, max_size=6), st.booleans())
def test_only_lines_whose_third_field_is_swap_are_touched(lines: list[str], ended: bool) -> None:
    text = "\n".join(lines) + ("\n" if ended else "")
    edited = fstab_without_swap(text)
    assert fstab_without_swap(edited) == edited
    for before, after in zip(text.split("\n"), edited.split("\n"), strict=True):
        fields = before.split()
        is_swap = fields[2:3] == ["swap"] and not fields[0].startswith("#")
        assert after == (f"# kubeinfra: no swap under Kubernetes: {before}" if is_swap else before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# SELINUX=enforcing\nSELINUX=enforcing\nSELINUXTYPE=targeted\n", "SELINUX=permissive\n"),
        ("SELINUX=disabled\n", "SELINUX=disabled\n"),
        ("SELINUX=permissive\n", "SELINUX=permissive\n"),
    ],
)
def test_selinux_becomes_permissive_but_disabled_stays(before: str, after: str) -> None:
    assert after in selinux_config(before)
    assert "\nSELINUX=enforcing" not in selinux_config(before)
    assert selinux_config(before).count("\n") == before.count("\n")
    assert ("SELINUXTYPE=targeted" in before) == ("SELINUXTYPE=targeted" in selinux_config(before))


STUB = "# made by systemd-resolved\nnameserver 127.0.0.53\noptions edns0\nsearch example.com\n"


@pytest.mark.parametrize(
    ("text", "is_local", "for_pods"),
    [
        (STUB, True, "options edns0\nsearch example.com\n"),
        ("nameserver 10.0.0.53\n", False, "nameserver 10.0.0.53\n"),
        ("nameserver 127.0.0.1\nnameserver 9.9.9.9\n", True, "nameserver 9.9.9.9\n"),
        ("nameserver ::1\n", True, ""),
        ("; old\n# nameserver 127.0.0.1\nnameserver 9.9.9.9", False, "nameserver 9.9.9.9"),
        ("nameserver\n", False, "nameserver\n"),
        ("", False, ""),
    ],
)
def test_a_name_server_on_the_machine_itself_is_none_for_pods(text: str, is_local: bool, for_pods: str) -> None:
    assert has_local_resolver(text) is is_local
    assert resolv_conf_for_pods(text) == for_pods


@given(
    st.lists(
        st.sampled_from(["nameserver 127.0.0.53", "nameserver ::1", "nameserver 9.9.9.9", "search a", "nameserver"])
    )
)
def test_what_pods_get_never_has_a_local_server(lines: list[str]) -> None:
    assert not has_local_resolver(resolv_conf_for_pods("\n".join(lines)))


def test_the_guides_sysctls_are_set_and_the_users_own_win() -> None:
    assert sysctls(CLUSTER) == {
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "1",
        "net.ipv4.ip_forward": "1",
        "net.ipv6.conf.all.disable_ipv6": "1",
        "net.ipv6.conf.default.disable_ipv6": "1",
    }
    own = cluster(
        extra_sysctls={"net.bridge.bridge-nf-call-ip6tables": 0, "kernel.pid_max": 4194304}, disable_ipv6=False
    )
    assert sysctls(own) == {
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "0",
        "net.ipv4.ip_forward": "1",
        "kernel.pid_max": "4194304",
    }


@pytest.mark.parametrize("made", [lambda: sysctl_conf({"a.b": "1"}), lambda: modules_conf(["overlay"])])
def test_our_own_files_say_who_wrote_them(made: Callable[[], str]) -> None:
    first, last = made().splitlines()
    assert first.startswith("#")
    assert "kubeinfra" in first
    assert last in ("a.b = 1", "overlay")
