"""Groups as an inventory has them, and what they were probably meant to be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from kubeinfra.cluster.cluster import GROUPS

MACHINES = "machines"
"""The list that has each machine's line, as in the inventory that comes with the project."""

# What others call these roles; compared without "_" and "-", in lower case, without a plural's "s".
_MEANT = {
    "master": "master controlplane controller kubemaster server apiserver k8smaster",
    "node": "worker minion kubelet kubenode k8snode agent",
    "etcd": "etcdmember etcdnode etcdserver",
    "lb": "loadbalancer balancer haproxy nginx keepalived vip proxy",
}
_ROLES = {word: role for role, words in _MEANT.items() for word in words.split()}


def meant(group: str) -> str | None:
    """The group that this name probably stands for, such as "node" for "workers"; None if it is one, or like none."""
    if group in GROUPS:
        return None
    word = group.lower().replace("_", "").replace("-", "")
    words = (word, word.removesuffix("s"))
    exact = next((one for one in words if one in GROUPS), None) or next(filter(None, map(_ROLES.get, words)), None)
    # "lb" is too short for a likeness to mean something.
    return exact or next(iter(get_close_matches(word, [role for role in GROUPS if len(role) > 2], 1, 0.75)), None)


def misspelled(groups: Mapping[str, Collection[str]]) -> dict[str, str]:
    """
    Group -> the group that it should be called.

    A list of the inventory's author, such as `workers` from which `node` is put together, is none of them; nor is the
    group of all machines that pyinfra names after the inventory's file.
    """
    everybody = {name for members in groups.values() for name in members}
    return {
        group: role
        for group, members in groups.items()
        if (role := meant(group))
        and not set(members) <= set(groups.get(role, ()))
        and not (groups.get(role) and set(members) == everybody)
    }


def strangers(groups: Mapping[str, Collection[str]]) -> dict[str, str | None]:
    """Name that is in a group but not among the machines -> the machine that was probably meant."""
    known = groups.get(MACHINES)
    if not known:
        return {}
    everybody = dict.fromkeys(name for members in groups.values() for name in members)
    return {name: next(iter(get_close_matches(name, known, n=1)), None) for name in everybody if name not in set(known)}


def problems(groups: Mapping[str, Collection[str]]) -> list[str]:
    """
    One sentence for each misspelled group, and for each name that is no machine's.

    + groups: every group of the inventory, in order -> names of its machines; without `all`
    """
    everybody = {name for members in groups.values() for name in members}
    told = []
    for group, role in misspelled(groups).items():
        names = ", ".join(name for name in groups[group] if name not in groups.get(role, ()))
        told.append(f"inventory: group {group} ({names}) is none of {', '.join(GROUPS)}; did you mean {role}?")
    for name, close in strangers(groups).items():
        lists = ", ".join(group for group, members in groups.items() if name in members and set(members) != everybody)
        hint = f"did you mean {close}?" if close else f"add its line to {MACHINES}, or take the name out"
        told.append(f"inventory: {lists} has {name}, which is not in {MACHINES}; {hint}")
    return told


def corrected(groups: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """Machine -> its groups, as if what `problems` tells were put right: so that no other sentence follows from it."""
    roles, names = misspelled(groups), strangers(groups)
    found: dict[str, set[str]] = {}
    for group, members in groups.items():
        for member in members:
            if name := names.get(member, member):
                found.setdefault(name, set()).update({group, roles.get(group, group)})
    return found
