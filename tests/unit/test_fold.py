"""Lines grow with what differs between machines, not with their number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.reports.fold import Told, folded, names, shortened


def nodes(count: int) -> list[str]:
    return [f"node{number:03}" for number in range(1, count + 1)]


def test_few_machines_are_named_and_many_counted() -> None:
    assert names(["m1"]) == "[m1]"
    assert names(nodes(6)) == "[node001 node002 node003 node004 node005 node006]"
    assert names(nodes(100)) == "[node001 node002 ... 98 more]"


def test_the_same_sentence_of_many_is_one_line_in_the_order_of_the_first() -> None:
    told = [Told(name, sentence) for name in nodes(3) for sentence in ("enable x", "start x")]
    assert folded([*told, Told("m1", "enable x")], {}) == [
        "[node001 node002 node003 m1] enable x",
        "[node001 node002 node003] start x",
    ]


def test_a_diff_is_shown_once_for_all_that_have_it() -> None:
    told = [Told("m1", "change /x", ("-a", "+b")), Told("m2", "change /x", ("-a", "+b")), Told("m3", "change /x", ())]
    assert folded(told, {}) == ["[m1 m2] change /x", "    -a", "    +b", "[m3] change /x"]


def test_what_differs_only_in_the_machines_own_name_and_address_is_folded() -> None:
    own = {f"m{number}": {f"m{number}": "<name>", f"10.0.0.{number}": "<address>"} for number in (1, 11)}
    told = [
        Told("m1", "write /x", ("+name=m1", "+address=10.0.0.1:2379", "+other=10.0.0.11")),
        Told("m11", "write /x", ("+name=m11", "+address=10.0.0.11:2379", "+other=10.0.0.11")),
    ]
    lines = folded(told, own)
    assert len(lines) == 8, "the third line is about another machine in one of them only, so they are not the same"
    both = folded([Told(one.machine, one.sentence, one.diff[:2]) for one in told], own)
    assert both == ["[m1 m11] write /x", "    +name=<name>", "    +address=<address>:2379"]


def test_one_machine_alone_is_shown_as_it_is() -> None:
    assert folded([Told("m1", "host name bare -> m1")], {"m1": {"m1": "<name>"}}) == ["[m1] host name bare -> m1"]


def test_a_sentence_that_one_machine_says_twice_is_counted() -> None:
    assert folded([Told("m1", "start x"), Told("m1", "start x")], {}) == ["[m1] start x (2 times)"]


def test_lines_of_a_diff_that_differ_in_numbers_only_are_shortened() -> None:
    hosts = [f"+10.0.0.{number} node{number:03}" for number in range(1, 101)]
    assert shortened(["@@ -1 +1 @@", *hosts, "+127.0.0.1 localhost"]) == [
        "@@ -1 +1 @@",
        "+10.0.0.1 node001",
        "+10.0.0.2 node002",
        "+... 97 more like these",
        "+10.0.0.100 node100",
        "+127.0.0.1 localhost",
    ]
    assert shortened(hosts[:4]) == hosts[:4]


@given(st.lists(st.builds(Told, st.sampled_from(["a", "b", "c"]), st.sampled_from(["x a", "y", "z b 1"]))))
def test_every_sentence_is_in_some_line_and_none_is_invented(told: list[Told]) -> None:
    lines = folded(told, {})
    assert {line.partition("] ")[2].partition(" (")[0] for line in lines} == {one.sentence for one in told}
    assert len(lines) == len({one.sentence for one in told})
