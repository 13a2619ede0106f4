"""What somebody has changed by hand on the machines is put right by the next run, and what is theirs is kept."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from invocation import Invocation
from laboratory import Lab, until
from observe import (
    Processes,
    command_line,
    command_lines,
    differences,
    machine_trees,
    processes,
    restarted,
    secrets,
    spoken,
)

SSL, CFG, BIN = "/opt/kubernetes/ssl", "/opt/kubernetes/cfg", "/opt/kubernetes/bin"
MARK = "written by hand"


@pytest.fixture
def as_it_was(cluster: Lab, before: Processes) -> dict[str, str]:
    return machine_trees(cluster)


def changed_by(cluster: Lab, as_it_was: dict[str, str], edits: dict[str, list[str]]) -> None:
    """Edit by hand; AssertionError where an edit left everything as it was, which would prove nothing."""
    for machine, scripts in edits.items():
        cluster.run(machine, "set -eu\n" + "\n".join(scripts))
    changed = differences(as_it_was, machine_trees(cluster))
    for machine in edits:
        assert any(line.startswith(f"{machine}:") for line in changed), f"nothing has changed on {machine}: {changed}"


@dataclass(frozen=True)
class Mended:
    """Machines that were edited by hand, a plan for them, the run after it, and what was seen before and after."""

    plan: Invocation
    run: Invocation
    trees: dict[str, dict[str, str]]
    """As they should be, edited, planned for, mended."""
    processes: dict[str, Processes]


@pytest.fixture(scope="module")
def mended(cluster: Lab) -> Mended:
    """Units, configuration and environment files; also where the service runs on the edit already."""
    cluster.require_healthy("before the test")
    master, (first, *_, last) = cluster.masters[0], cluster.nodes
    trees = {"before": machine_trees(cluster)}
    changed_by(
        cluster,
        trees["before"],
        {
            master: [
                "sed -i 's/--v=2/--v=3/' /etc/systemd/system/kube-scheduler.service",
                f"echo '{MARK},somebody,1' >>{CFG}/token.csv",
                f"printf '#!/bin/sh\\n' >{BIN}/.other; chmod 755 {BIN}/.other; mv {BIN}/.other {BIN}/kubectl",
            ],
            first: [
                f"sed -i 's/nodeStatusUpdateFrequency.*/nodeStatusUpdateFrequency: 5s/' {CFG}/kubelet-config.yaml",
                "systemctl restart kubelet",
                "sed -i '/ node02$/d' /etc/hosts; echo '192.0.2.9 a-printer' >>/etc/hosts",
                "rm /opt/cni/bin/host-local",
            ],
            last: [
                "echo ETCD_SNAPSHOT_COUNT=5000 >>/opt/etcd/cfg/etcd",
                "sed -i 's/--v=2/--v=4/' /etc/systemd/system/kube-proxy.service",
                "systemctl daemon-reload; systemctl restart kube-proxy",
                f"chmod 644 {SSL}/kubelet-serving-key.pem",
            ],
        },
    )
    seen = {}
    trees["edited"], seen["edited"] = machine_trees(cluster), processes(cluster)
    plan = cluster.deploy(plan=True)
    trees["planned"], seen["planned"] = machine_trees(cluster), processes(cluster)
    run = cluster.deploy()
    trees["mended"], seen["mended"] = machine_trees(cluster), processes(cluster)
    return Mended(plan, run, trees, seen)


def restarts(done: Invocation, machines: list[str]) -> set[tuple[str, str]]:
    """(machine, "restart <unit>"), without the reasons."""
    return {
        (machine, found[0])
        for machine in machines
        for sentence in done.told(machine)
        if (found := re.match(r"restart [\w.-]+(?=: )", sentence))
    }


def test_a_plan_shows_every_hand_edit(cluster: Lab, mended: Mended) -> None:
    master, (first, *_, last) = cluster.masters[0], cluster.nodes
    for machine, sentence in (
        (master, "change /etc/systemd/system/kube-scheduler.service"),
        (master, "restart kube-scheduler.service: systemd runs an older unit file than the disk has"),
        (master, "change /opt/kubernetes/cfg/token.csv (secret)"),
        (master, "replace /opt/kubernetes/bin/kubectl: "),
        (first, "restart kubelet.service: /opt/kubernetes/cfg/kubelet-config.yaml changes"),
        (first, "-nodeStatusUpdateFrequency: 5s"),
        (first, "put /opt/cni/bin/host-local "),
        (first, f"+{cluster.address('node02')} node02"),
        (last, "-ETCD_SNAPSHOT_COUNT=5000"),
        (last, "restart kube-proxy.service: /etc/systemd/system/kube-proxy.service changes"),
        (last, f"mode 644 root:root -> 600 root:root of {SSL}/kubelet-serving-key.pem"),
    ):
        lines = [told for told in mended.plan.told(machine) if sentence in told]
        assert lines, f"the plan should say of {machine}: {sentence}\n{mended.plan.text}"
    assert MARK not in mended.plan.text, "the plan should show nothing of a file with secrets"


def test_the_plan_leaves_the_hand_edits_alone(mended: Mended) -> None:
    changed = differences(mended.trees["edited"], mended.trees["planned"])
    assert not changed, "the plan should change nothing:\n" + "\n".join(changed)
    assert not restarted(mended.processes["edited"], mended.processes["planned"]), "the plan should restart nothing"


def test_a_plan_names_the_restarts_of_the_run(cluster: Lab, mended: Mended) -> None:
    planned, done = restarts(mended.plan, cluster.machines), restarts(mended.run, cluster.machines)
    assert done, "there should be some"
    assert planned == done, f"the plan should name the restarts of the run, and no others: {planned ^ done}"


def test_hand_edits_are_put_right(cluster: Lab, mended: Mended) -> None:
    left = differences(mended.trees["before"], mended.trees["mended"])
    first = cluster.nodes[0]
    assert [line.partition(": ")[0] for line in left] == [f"{first}:/etc/hosts"], (
        "all but a line that is not ours should be as it was before the edits:\n" + "\n".join(left)
    )
    hosts = cluster.run(first, "cat /etc/hosts")
    assert "192.0.2.9 a-printer" in hosts, f"a line that is not ours should be kept:\n{hosts}"
    assert f"{cluster.address('node02')} node02" in hosts, f"a line of ours should be back:\n{hosts}"


def test_what_ran_on_a_hand_edit_is_restarted_and_nothing_else(cluster: Lab, mended: Mended) -> None:
    master, (first, *_, last) = cluster.masters[0], cluster.nodes
    moved = restarted(mended.processes["planned"], mended.processes["mended"])
    # kube-scheduler: systemd had not read the edited unit yet, and would have started the next one from it.
    wanted = {(first, "kubelet"), (last, "kube-proxy"), (master, "kube-scheduler")}
    assert moved == wanted, f"these and only these should have restarted: {wanted}, not {moved}"
    for machine, name, wrong in ((master, "kube-scheduler", "--v=3"), (last, "kube-proxy", "--v=4")):
        line = command_line(cluster, machine, name)
        assert "--v=2" in line and wrong not in line, f"{name} on {machine} should run with its own flags: {line}"


def assert_kubelet_is_distrusted(cluster: Lab, machine: str) -> None:
    """It shows a certificate that another CA has issued: the API server must not take logs from it."""
    where = f"--field-selector=spec.nodeName={cluster.address(machine)}"
    pod = cluster.kubectl("-n", "kube-flannel", "get", "pods", where, "-o", "name").strip()

    def refused() -> bool | str:
        said = cluster.kubectl("-n", "kube-flannel", "logs", pod, "-c", "kube-flannel", "--tail=1", check=False)
        return "x509: certificate signed by unknown authority" in said or said

    until(f"the API server distrusts the kubelet of {machine}", refused, 30)


def test_lost_certificates_and_binaries_are_made_good_and_no_secret_is_told(
    cluster: Lab, before: Processes, as_it_was: dict[str, str]
) -> None:
    """At the highest verbosity, and with an eye on every command line of every machine."""
    master, (first, *_, last) = cluster.masters[0], cluster.nodes
    changed_by(
        cluster,
        as_it_was,
        {
            master: [
                f"cp {SSL}/kube-scheduler.pem {SSL}/kube-apiserver.pem",  # of another subject
                f"openssl ecparam -name prime256v1 -genkey -noout -out {SSL}/kube-controller-manager-key.pem",
                f"printf x >>{BIN}/.x; cat {BIN}/kube-scheduler {BIN}/.x >{BIN}/.y; rm {BIN}/.x; chmod 755 {BIN}/.y",
                f"mv {BIN}/.y {BIN}/kube-scheduler; systemctl restart kube-scheduler",  # another build, and it runs
            ],
            first: [
                "truncate -s 100 /opt/etcd/ssl/server.pem",
                f"rm {SSL}/kube-proxy.pem {SSL}/kube-proxy-key.pem",
            ],
            last: [
                "openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=etcd-ca "
                f"-addext subjectAltName=IP:{cluster.address(last)} "
                f"-keyout {SSL}/kubelet-serving-key.pem -out {SSL}/kubelet-serving.pem 2>/dev/null",
                "systemctl restart kubelet; timeout 60 sh -c "
                "'until curl -ks -o /dev/null https://127.0.0.1:10250/; do sleep 0.2; done'",
                f"rm {BIN}/kubelet",  # its process goes on
            ],
        },
    )
    assert_kubelet_is_distrusted(cluster, last)
    running = processes(cluster)
    with command_lines() as seen:
        done = cluster.deploy("-vvv")
    left = {line.partition(": ")[0] for line in differences(as_it_was, machine_trees(cluster))}
    renewed = {
        f"{master}:{SSL}/kube-apiserver",
        f"{master}:{SSL}/kube-controller-manager",
        f"{first}:/opt/etcd/ssl/server",
        f"{first}:{SSL}/kube-proxy",
        f"{last}:{SSL}/kubelet-serving",
    }
    wanted = {f"{path}{ending}" for path in renewed for ending in (".pem", "-key.pem")}
    assert left == wanted, f"these should have been made again, all else be as before: {left ^ wanted}"
    for path in sorted(renewed):
        machine, _, name = path.partition(":")
        ca = "/opt/etcd/ssl/ca.pem" if "etcd" in name else f"{SSL}/ca.pem"
        verdict = cluster.run(machine, f"openssl verify -x509_strict -CAfile {ca} {name}.pem; exit 0")
        assert verdict.strip().endswith(": OK"), f"{path} should be good again: {verdict}"
    moved = restarted(running, processes(cluster))
    expected = {
        (master, "kube-apiserver"),
        (master, "kube-controller"),
        (master, "kube-scheduler"),
        (first, "etcd"),
        (first, "kube-proxy"),
        (last, "kubelet"),
        *((name, "nginx") for name in cluster.load_balancers),  # reloaded, so that no client meets the restart
    }
    assert moved == expected, f"these and only these should have restarted: {expected}, not {moved}"

    known = secrets(cluster)
    assert "sha256sum" in done.text and len(seen) > 100, "what was looked at should be all that ran"
    assert not spoken(known, done.text), f"pyinfra's output should not tell {spoken(known, done.text)}"
    told = spoken(known, "\n".join(seen))
    assert not told, f"no command line should tell {told}"


def test_other_peoples_keys_in_daemon_json_are_kept(cluster: Lab, before: Processes) -> None:
    last = cluster.nodes[-1]
    path = "/etc/docker/daemon.json"
    ours = json.loads(cluster.run(last, f"cat {path}"))
    theirs = {"max-concurrent-downloads": ours.get("max-concurrent-downloads", 1) + 1}
    edited = {**ours, "log-driver": "none", **theirs}
    cluster.run(last, f"cat >{path}", stdin=json.dumps(edited))
    cluster.deploy()
    found = json.loads(cluster.run(last, f"cat {path}"))
    assert found == {**ours, **theirs}, f"ours should be right, theirs kept: {found}"
    assert (last, "dockerd") in restarted(before, processes(cluster)), "Docker should run with it"
    cluster.require_healthy("after Docker was restarted")


def test_nothing_is_left_to_do_after_all_this(cluster: Lab, before: Processes) -> None:
    done = cluster.deploy("--json")
    assert not done.changes, f"everything should be as wanted: {done.changes}"
    assert not restarted(before, processes(cluster)), "and nothing restart"


class TestAnotherController:
    """One that did not set this cluster up, or has lost what it knew."""

    @pytest.fixture
    def other(self, cluster: Lab) -> Iterator[Lab]:
        """A second controller for the same machines, without .kubeinfra."""
        other = Lab("other")
        other.make_controller()
        shutil.copytree(cluster.directory / ".lab", other.directory / ".lab")
        yield other
        shutil.rmtree(other.directory)

    def test_it_is_stopped_and_told_whose_cluster_this_is(
        self, cluster: Lab, other: Lab, before: Processes, as_it_was: dict[str, str]
    ) -> None:
        done = other.pyinfra("deploy.py")
        assert done.code != 0 and "Traceback" not in done.text, f"it should be stopped by a message:\n{done.text}"
        told = re.findall(r"trusts CA (\S+) ([0-9A-F:]{95})", done.text)
        assert told, f"it should name what it found on the first machine that it looked at:\n{done.text}"
        for name, fingerprint in told:
            ca = (cluster.cas / name / "ca.pem").read_text()
            said = cluster.run(cluster.masters[0], "openssl x509 -noout -fingerprint -sha256", stdin=ca)
            assert said.strip().endswith(f"={fingerprint}"), f"{name} should have {said}, not {fingerprint}"
        assert not (other.directory / ".kubeinfra").exists(), "it should create no CA of its own"
        assert not differences(as_it_was, machine_trees(cluster)), "it should change nothing"
        assert not restarted(before, processes(cluster)), "it should restart nothing"

    def test_it_is_stopped_too_by_a_member_that_has_lost_its_cas(self, cluster: Lab, other: Lab) -> None:
        """Its data are of an etcd that this controller has not made; the machines that could say so are not asked."""
        cluster.run(
            cluster.nodes[0],
            "mv /opt/etcd/ssl/ca.pem /opt/etcd/ssl/x; mv /opt/kubernetes/ssl/ca.pem /opt/kubernetes/ssl/x",
        )
        try:
            done = other.pyinfra("tasks/etcd.py", "--limit", cluster.nodes[0])
        finally:
            cluster.run(
                cluster.nodes[0],
                "mv /opt/etcd/ssl/x /opt/etcd/ssl/ca.pem; mv /opt/kubernetes/ssl/x /opt/kubernetes/ssl/ca.pem",
            )
        told = f"{cluster.nodes[0]}: /var/lib/etcd/default.etcd has data of another etcd, of cluster "
        assert done.code != 0 and told in done.text, f"it should say what it found:\n{done.text}"
        assert not (other.directory / ".kubeinfra").exists(), "it should create no CA of its own"

    @pytest.mark.parametrize("damage", ["", "-----BEGIN PRIVATE KEY-----\nMIGH\n"], ids=["empty", "half written"])
    def test_a_damaged_authority_is_an_error_that_says_what_to_do(
        self, cluster: Lab, other: Lab, before: Processes, damage: str
    ) -> None:
        shutil.copytree(cluster.directory / ".kubeinfra", other.directory / ".kubeinfra")
        key = other.cas / "etcd" / "ca-key.pem"
        key.write_text(damage)
        done = other.pyinfra("deploy.py")
        assert done.code != 0 and "Traceback" not in done.text, f"it should be stopped by a message:\n{done.text}"
        line = next((line for _, line in done.said if str(key) in line or str(key.parent) in line), "")
        assert "backup" in line, f"one line should name {key} and say what to do:\n{done.text}"
        assert key.read_text() == damage, "it should not be replaced"
        assert not restarted(before, processes(cluster)), "nothing should restart"


def started(cluster: Lab, machine: str, name: str) -> int:
    """When the oldest process of this name started, in the kernel's ticks, which all machines share."""
    return int(cluster.run(machine, f"cut -d ' ' -f 22 /proc/$(pgrep -xo {name})/stat"))


def test_container_runtimes_restart_one_after_the_other_with_their_network(cluster: Lab, before: Processes) -> None:
    first, *_, last = cluster.nodes
    done = cluster.deploy("--data", "container_log_max_files=4")
    moved = restarted(before, processes(cluster))
    assert moved == {(node, "dockerd") for node in cluster.nodes}, f"nothing else should have restarted: {moved}"
    assert "restart docker.service: /etc/docker/daemon.json has changed since it started" in done.text
    back, then = started(cluster, first, "flanneld"), started(cluster, last, "dockerd")
    assert back < then, f"{last} should have waited for the pods' network of {first}: {back} ticks, {then} ticks"
    cluster.require_healthy("with Docker's other setting")  # which stays: no test of this cluster comes after
