"""etcd's backup and restore: exactly the objects of the backup, and nothing stops for a snapshot that is no good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from invocation import ends
from laboratory import Lab
from observe import processes

KINDS = "namespaces,configmaps,deployments,daemonsets,pods,services,serviceaccounts,nodes"


@dataclass(frozen=True)
class Backup:
    """A snapshot on the controller, and the objects that the cluster had when it was taken."""

    snapshot: Path
    objects: set[tuple[str, ...]]


@pytest.fixture(scope="module")
def backup(cluster: Lab) -> Backup:
    """A backup of a cluster that has a Deployment in namespace kept, taken while nothing else changes."""
    cluster.require_healthy("before the backup")
    image = cluster.get("-n", "kube-flannel", "daemonset", "kube-flannel-ds")["spec"]["template"]["spec"]
    cluster.kubectl("create", "namespace", "kept")
    cluster.kubectl("-n", "kept", "create", "configmap", "here-at-the-backup", "--from-literal=word=kept")
    container = image["containers"][0]["image"]
    cluster.kubectl("-n", "kept", "create", "deployment", "web", f"--image={container}", "--", "sleep", "3600")
    cluster.kubectl("-n", "kept", "rollout", "status", "deployment/web", "--timeout=60s")
    was = objects(cluster)
    done = cluster.pyinfra("day2/backup.py")
    assert done.code == 0, f"the backup should succeed:\n{done.text}"
    assert objects(cluster) == was, "nothing should come or go while the backup is taken"
    return Backup(max((cluster.state / "backups").glob("*.db")), was)


@pytest.fixture
def snapshot(backup: Backup) -> Path:
    return backup.snapshot


def objects(cluster: Lab) -> set[tuple[str, ...]]:
    """Kind, namespace, name and UID of everything that a restore has to bring back."""
    columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid"
    lines = cluster.kubectl("get", KINDS, "-A", "--no-headers", "-o", columns).splitlines()
    return {tuple(line.split()) for line in lines}


def test_the_snapshot_is_on_a_member_and_on_the_controller_for_root_only(cluster: Lab, snapshot: Path) -> None:
    assert snapshot.stat().st_mode & 0o777 == 0o600 and snapshot.parent.stat().st_mode & 0o777 == 0o700
    found = {
        machine: said
        for machine, said in cluster.everywhere(
            f"stat -c '%a %U' /data/backup /data/backup/{snapshot.name}; exit 0"
        ).items()
        if "600" in said
    }
    assert list(found.values()) == ["700 root\n600 root\n"], f"one member should have it, for root only: {found}"
    digests = cluster.run(next(iter(found)), f"sha256sum </data/backup/{snapshot.name}").split()[0]
    assert digests in (snapshot.with_name(f"{snapshot.name}.sha256")).read_text(), "both should be the same file"


def test_a_damaged_snapshot_stops_nothing(cluster: Lab, snapshot: Path) -> None:
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = snapshot.with_name("damaged.db")
    damaged.write_bytes(bytes(content))
    cut_off = snapshot.with_name("cut-off.db")
    cut_off.write_bytes(snapshot.read_bytes()[:-1000])
    was = cluster.everywhere("systemctl show -p ActiveEnterTimestamp etcd kube-apiserver")
    for bad in (damaged, cut_off):
        done = cluster.pyinfra("day2/restore.py", "--data", f"snapshot={bad}", "--data", "confirm=lab")
        assert done.code != 0 and str(bad) in done.text and "take another" in done.text, (
            f"it should say why:\n{done.text}"
        )
        bad.unlink()
    assert cluster.everywhere("systemctl show -p ActiveEnterTimestamp etcd kube-apiserver") == was, (
        "nothing should stop"
    )


def test_a_snapshot_of_another_cluster_is_refused(cluster: Lab, snapshot: Path) -> None:
    foreign = snapshot.with_name(snapshot.name.replace("etcd-lab-", "etcd-production-"))
    foreign.write_bytes(snapshot.read_bytes())
    done = cluster.pyinfra("day2/restore.py", "--data", f"snapshot={foreign}", "--data", "confirm=lab")
    foreign.unlink()
    assert done.code != 0 and "is of cluster production by its name" in done.text, f"it should say why:\n{done.text}"
    cluster.require_healthy("as nothing was done")


def test_a_restore_asks_for_the_name_of_the_cluster(cluster: Lab, snapshot: Path) -> None:
    done = cluster.pyinfra("day2/restore.py", "--data", f"snapshot={snapshot}")
    assert done.code != 0 and "--data confirm=lab" in done.text, f"it should say how to confirm:\n{done.text}"
    cluster.require_healthy("as nothing was done")


def test_a_restore_that_was_cut_off_gives_exactly_the_objects_of_the_backup_when_run_again(
    cluster: Lab, backup: Backup, figures: list[str]
) -> None:
    cluster.kubectl("-n", "kept", "delete", "configmap", "here-at-the-backup")
    cluster.kubectl("-n", "kept", "delete", "deployment", "web")
    cluster.kubectl("create", "namespace", "made-later")
    assert objects(cluster) != backup.objects
    restore = ("day2/restore.py", "--data", f"snapshot={backup.snapshot}", "--data", "confirm=lab")
    cut_off = cluster.pyinfra(*restore, kill_when=ends("etcd is stopped"))
    assert cut_off.code == -9, f"it should have been killed:\n{cut_off.text}"
    assert not any(name == "etcd" for _, name in processes(cluster)), "it should have stopped etcd by then"
    done = cluster.pyinfra(*restore)
    assert done.code == 0, f"the restore should succeed:\n{done.text}"
    figures.append(f"restore: {done.seconds:.1f} s")
    now = objects(cluster)
    gone, new = backup.objects - now, now - backup.objects
    assert not gone and not new, f"gone: {gone}; not in the backup: {new}"
    cluster.require_healthy("after the restore")
    cluster.kubectl("-n", "kept", "rollout", "status", "deployment/web", "--timeout=60s")
    aside = cluster.everywhere("ls -d /var/lib/etcd/default.etcd.before-restore-*", cluster.etcd)
    assert all(aside.values()), f"the data of before should be kept aside: {aside}"
    after = cluster.deploy("--json")
    assert set(after.changes) <= {"verify | traffic"}, f"a run after it has nothing to do: {after.changes}"
    cluster.kubectl("delete", "namespace", "kept", "--wait=false")
