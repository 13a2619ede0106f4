"""Groups of an inventory, and which of the four groups a misspelled one was probably meant to be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from kubeinfra.cluster.cluster import GROUPS

MACHINES = "machines"
"""Name of the list with one line for each machine, as in the example inventory."""

# Other names for these groups; compared without "_" and "-", in lower case, without a plural's "s".
_MEANT = {
    "master": "master controlplane controller kubemaster server apiserver k8smaster",
    "node": "worker minion kubelet kubenode k8snode agent",
    "etcd": "etcdmember etcdnode etcdserver",
    "lb": "loadbalancer balancer haproxy nginx keepalived vip proxy",
}
_ROLES = {word: role for role, words in _MEANT.items() for word in words.split()}


def meant(group: str) -> str | None:
    """The group that this name probably stands for, such as "node" for "workers"; None for a group, or if none fits."""
    if group in GROUPS:
        return None
    word = group.lower().replace("_", "").replace("-", "")
    words = (word, word.removesuffix("s"))
    exact = next((one for one in words if one in GROUPS), None) or next(filter(None, map(_ROLES.get, words)), None)
    # "lb" is too short: a similar name means nothing.
    return exact or next(iter(get_close_matches(word, [role for role in GROUPS if len(role) > 2], 1, 0.75)), None)


def misspelled(groups: Mapping[str, Collection[str]]) -> dict[str, str]:
    """
    Misspelled group -> the correct name.

    A list that the inventory only uses to build a group, such as `workers` for `node`, is not misspelled; nor is the
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
    One sentence for each misspelled group, and for each name that is not a machine.

    + groups: every group of the inventory, in order -> names of its machines; without `all`
    """
    everybody = {name for members in groups.values() for name in members}
    sentences = []
    for group, role in misspelled(groups).items():
        names = ", ".join(name for name in groups[group] if name not in groups.get(role, ()))
        sentences.append(f"inventory: group {group} ({names}) is none of {', '.join(GROUPS)}; did you mean {role}?")
    for name, close in strangers(groups).items():
        lists = ", ".join(group for group, members in groups.items() if name in members and set(members) != everybody)
        hint = f"did you mean {close}?" if close else f"add its line to {MACHINES}, or take the name out"
        sentences.append(f"inventory: {lists} has {name}, which is not in {MACHINES}; {hint}")
    return sentences


def corrected(groups: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """Machine -> its groups, with everything corrected that `problems` reports: so that it causes no further errors."""
    roles, names = misspelled(groups), strangers(groups)
    found: dict[str, set[str]] = {}
    for group, members in groups.items():
        for member in members:
            if name := names.get(member, member):
                found.setdefault(name, set()).update({group, roles.get(group, group)})
    return found
