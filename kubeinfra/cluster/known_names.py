"""Whether the flags, fields, feature gates and admission plugins in the settings are known to the release."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.releases.lifetimes import Kind, unknown

_FLAGS = {
    "apiserver_extra_args": "kube-apiserver",
    "controller_manager_extra_args": "kube-controller-manager",
    "scheduler_extra_args": "kube-scheduler",
}
_FIELDS = {"kubelet_extra_config": "kubelet", "kube_proxy_extra_config": "kube-proxy"}
_WORD: dict[Kind, str] = {"flags": "flag", "fields": "field", "gates": "feature gate", "plugins": "admission plugin"}


def release_knows_the_names(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """A flag, gate or plugin that a program does not know keeps it from starting; such a field does nothing."""
    for setting, program, kind, names in _asked(cluster):
        for one in unknown(kind, program, names, cluster.release.minor):
            release, instead = (
                cluster.release.kubernetes,
                f"use {one.instead} instead" if one.instead else "take it out",
            )
            yield (
                f"{where(setting)}: {setting} has the {_WORD[kind]} {one.name}, which {program} of {release} does not "
                f"know ({one.text}); {instead}"
            )


def _asked(cluster: Cluster) -> Iterator[tuple[str, str, Kind, list[str]]]:
    """Setting, program, kind, names."""
    for setting, program in _FLAGS.items():
        flags: dict[str, str] = getattr(cluster.settings, setting)
        yield setting, program, "flags", list(flags)
        yield setting, program, "gates", [one.partition("=")[0].strip() for one in _listed(flags, "feature-gates")]
        yield setting, program, "plugins", _listed(flags, "enable-admission-plugins")
    everybody = (cluster.settings, *cluster.own_settings.values())
    for setting, program in _FIELDS.items():
        fields = {name: value for one in everybody for name, value in getattr(one, setting).items()}
        gates = [name for one in everybody for name in getattr(one, setting).get("featureGates") or {}]
        yield setting, program, "fields", list(fields)
        yield setting, program, "gates", list(dict.fromkeys(gates))


def _listed(flags: dict[str, str], name: str) -> list[str]:
    return [one.strip() for one in flags.get(name, "").split(",") if one.strip()]
