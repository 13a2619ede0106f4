"""Checks of settings that know components; those that do not are in `kubeinfra/cluster/consistency.py`."""

from __future__ import annotations

from kubeinfra.checks.catalogue import ignored_checks_exist
from kubeinfra.checks.kube_proxy import kube_proxy_mode_is_known
from kubeinfra.checks.platform import unlisted_distribution_is_listed
from kubeinfra.checks.ports import ports_do_not_collide
from kubeinfra.checks.swap import swap_is_known
from kubeinfra.cluster.consistency import Check

OF_SETTINGS: tuple[Check, ...] = (
    ports_do_not_collide,
    unlisted_distribution_is_listed,
    ignored_checks_exist,
    kube_proxy_mode_is_known,
    swap_is_known,
)
