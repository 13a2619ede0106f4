"""The lab's pure parts, and its runtime shim with a runc that only tells what it was asked."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Settings, read
from kubeinfra.errors import KubeinfraError
from lab import containers, debian, engine, host, image, keys, kinds, machines, names, network, settings
from lab.console import Phases
from lab.machines import Kind
from lab.vm.machines import VirtualMachines
from lab.vm.qemu import Qemu

THERE = {"container": {"node01": machines.Found("node01", "running", "192.168.80.11", "image")}, "vm": {}}
SHIM = Path(image.__file__).with_name("runc-shim")
BUILT = {
    "etcd/3.4.23/etcd-v3.4.23-linux-amd64.tar.gz": "sha256:" + "0" * 64,
    "kubernetes/1.20.15/kubernetes-server-linux-amd64.tar.gz": "sha256:" + "1" * 64,
}


def machine(name: str, address: str, *groups: str) -> Machine:
    return Machine(name, name, IPv4Address(address), frozenset(groups))


def lab_settings(version: str, own_builds: dict[str, str], restricted: bool = True, **values: Any) -> dict[str, object]:
    cluster = Cluster((), Settings(kubernetes_version=version, **values))
    return settings.lab_settings(cluster, Path("built"), own_builds, restricted)


def addresses(*texts: str) -> list[IPv4Address]:
    return [IPv4Address(text) for text in texts]


class TestName:
    @pytest.mark.parametrize("name", ["kubeinfra", "kubeinfra-vm", "prove-1-37", "2"])
    def test_one_that_all_can_have_is_taken(self, name: str) -> None:
        names.require_usable(name)

    @pytest.mark.parametrize("name", ["kubeinfra-mirror", "Lab", "lab_2", "-lab", "lab-", "../lab", "lab 2"])
    def test_one_that_a_network_interface_or_a_container_cannot_have_is_refused(self, name: str) -> None:
        with pytest.raises(KubeinfraError, match="KUBEINFRA_LAB is"):
            names.require_usable(name)

    def test_it_is_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "lab", "up"]
        project = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "KUBEINFRA_LAB": "kubeinfra-mirror", "PYTHONPATH": str(project)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, [*tmp_path.iterdir()]) == (1, "", [])
        assert done.stderr.startswith('\nKUBEINFRA_LAB is "kubeinfra-mirror", 16 characters: use at most 12')


class TestCapability:
    def test_a_withheld_capability_is_seen(self) -> None:
        status = "Name:\tcat\nCapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"
        assert not engine.has_capability(status, engine.CAP_SYS_RESOURCE)
        assert engine.has_capability(status, engine.CAP_SYS_RESOURCE + 1)

    def test_root_with_all_capabilities_has_it(self) -> None:
        assert engine.has_capability("CapEff:\t000001ffffffffff\n", engine.CAP_SYS_RESOURCE)


class TestNetwork:
    def test_near_addresses_share_a_24(self) -> None:
        assert network.subnet(addresses("192.168.80.20", "192.168.80.10")) == IPv4Network("192.168.80.0/24")

    def test_addresses_of_two_24_get_the_smallest_network_around_both(self) -> None:
        assert network.subnet(addresses("10.1.4.9", "10.1.7.1")) == IPv4Network("10.1.4.0/22")

    def test_addresses_too_far_apart_are_named(self) -> None:
        with pytest.raises(KubeinfraError, match=r"10\.1\.0\.1 and 10\.2\.0\.1"):
            network.subnet(addresses("10.2.0.1", "10.1.0.1"))

    def test_gateway_is_the_first_address(self) -> None:
        net = IPv4Network("192.168.80.0/24")
        assert network.gateway(net, addresses("192.168.80.10")) == IPv4Address("192.168.80.1")

    def test_gateway_leaves_a_machine_its_address(self) -> None:
        net = IPv4Network("192.168.80.0/24")
        assert network.gateway(net, addresses("192.168.80.1", "192.168.80.2")) == IPv4Address("192.168.80.3")


class TestHost:
    TABLE = (
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.0.0.0/16", "dev": "eth1", "protocol": "kernel"},
        {"type": "blackhole", "dst": "10.244.0.0/16", "protocol": "207"},
        {"dst": "192.168.80.0/24", "dev": "br-kubeinfra", "protocol": "kernel"},
        {"dst": "172.30.0.9", "dev": "tun0"},
    )

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("10.0.0.0/24", ["10.0.0.0/16"]),
            ("172.30.0.0/16", ["172.30.0.9"]),
            ("10.244.0.0/16", []),
            ("192.168.80.0/24", []),
            ("10.96.0.0/12", []),
        ],
        ids=["part of a network in use", "around one address", "own dead end", "own bridge", "free"],
    )
    def test_routes_that_a_network_would_cut_off(self, wanted: str, found: list[str]) -> None:
        routes = host.overlapping(self.TABLE, IPv4Network(wanted))
        assert [route["dst"] for route in routes] == found

    def test_only_what_differs_is_put_back(self) -> None:
        before = "vm.swappiness = 60\nkernel.printk = 4\t4\t1\t7\nvm.gone = 1\nkernel.core_pattern = a=b %p\n"
        now = "vm.swappiness = 0\nkernel.printk = 4\t4\t1\t7\nvm.new = 1\nkernel.core_pattern = core\n"
        assert host.changed(before, now) == ["vm.swappiness=60", "kernel.core_pattern=a=b %p"]


class TestImage:
    def test_digest_follows_names_and_contents(self) -> None:
        one = image.digest({"a": b"1", "b": b"2"})
        assert one == image.digest({"b": b"2", "a": b"1"}), "the order of files is no part of a recipe"
        assert len({one, image.digest({"a": b"1", "b": b"3"}), image.digest({"a": b"1", "c": b"2"})}) == 3

    def test_recipe_has_the_parts_that_matter(self) -> None:
        wanted = {"runc-shim", "image/Dockerfile", "image/packages", "image/root/usr/local/sbin/lab-init"}
        assert wanted <= image.Recipe().files().keys()

    def test_each_kind_has_an_image_of_its_own(self) -> None:
        recipes = [kinds.CONTAINERS.recipe, *(kind.recipe for kind in kinds.OTHER_CONTAINERS)]
        assert len({recipe.repository for recipe in recipes} & {image.REPOSITORY}) == 1
        assert len({recipe.cache for recipe in recipes}) == len({image.digest(recipe.files()) for recipe in recipes})
        assert len({image.digest(recipe.files()) for recipe in recipes}) == len(recipes)

    def test_what_a_part_adds_is_in_the_recipe(self) -> None:
        recipe = image.Recipe("other", "trixie", ("el",), ("csh",))
        assert {"parts/el/setup", "parts/el/make_rpms.py", "image/setup"} <= recipe.files().keys()
        assert {"dnf", "csh", "socat"} <= {*debian.package_names(recipe.wanted_packages)}
        assert recipe.pulled_base == "debian:trixie-slim"

    def test_package_names_without_comments(self) -> None:
        assert debian.package_names("# all\nsocat\n\nnginx  # a proxy\n") == ["socat", "nginx"]

    def test_sources_keep_the_mirror_and_get_the_image_s_suite(self) -> None:
        rows = [
            "http://mirror.example/debian trixie main",
            "http://mirror.example/debian trixie contrib",
            "http://mirror.example/security trixie-security main",
            "https://other.example/apt cloud-sdk-trixie main",
        ]
        assert debian.sources(rows, "trixie", "bookworm") == [
            "deb http://mirror.example/debian bookworm main",
            "deb http://mirror.example/security bookworm-security main",
        ]


class TestMachines:
    NODE = machine("node01", "192.168.80.11", "node")
    KINDS = (kinds.CONTAINERS, VirtualMachines("vm", prepared=True, computer=Qemu))

    def chosen(self, wanted: dict[str, str], *named: Machine) -> dict[Machine, Kind]:
        return machines.chosen(named or [self.NODE], self.KINDS, wanted, THERE)

    def test_a_moved_machine_is_a_conflict(self) -> None:
        (problem,) = machines.conflicts(self.chosen({}, machine("node01", "192.168.80.12", "node")), THERE)
        assert "192.168.80.11" in problem and "192.168.80.12" in problem and "--fresh" in problem

    def test_a_machine_of_another_kind_is_a_conflict(self) -> None:
        (problem,) = machines.conflicts(self.chosen({"node01": "vm"}), THERE)
        assert "node01 is up as a container" in problem and "a vm" in problem and "--fresh" in problem

    def test_same_new_and_further_machines_are_none(self) -> None:
        assert machines.conflicts(self.chosen({}), THERE) == []
        assert machines.conflicts(self.chosen({}, machine("node02", "192.168.80.12", "node")), THERE) == []

    def test_kind_is_what_is_asked_for_then_what_is_there_then_the_first(self) -> None:
        there = {"container": {}, "vm": {"node01": machines.Found("node01", "exited", "192.168.80.11", "image")}}
        other = machine("node02", "192.168.80.12", "node")

        def chosen(wanted: dict[str, str]) -> list[str]:
            return [kind.name for kind in machines.chosen([self.NODE, other], self.KINDS, wanted, there).values()]

        assert chosen({}) == ["vm", "container"]
        assert chosen({"node01": "container", "node02": "vm"}) == ["container", "vm"]

    def test_what_is_not_as_in_a_fresh_lab_is_told(self) -> None:
        planned = self.chosen({}, machine("node02", "192.168.80.12"))
        assert list(machines.remarks(THERE, planned, {"container": "newer", "vm": "other"})) == [
            "from an older image: node01",
            "not in the inventory: node01",
        ]
        assert list(machines.remarks(THERE, self.chosen({}), {"container": "image"})) == []

    def test_private_host_key_is_readable_by_root_only(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(containers.key_archive(b"secret", "ssh-ed25519 AAAA"))) as archive:
            modes = {member.name: (member.mode, member.uid) for member in archive.getmembers()}
        assert modes == {"ssh_host_ed25519_key": (0o600, 0), "lab_authorized_keys": (0o644, 0)}


class TestKeys:
    @pytest.fixture(autouse=True)
    def own_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_a_machine_keeps_its_key(self) -> None:
        private, public = keys.host_key("node01")
        assert keys.host_key("node01") == (private, public)
        assert keys.host_key("node02")[1] != public

    def test_private_keys_are_readable_by_their_owner_only(self) -> None:
        keys.login_key()
        keys.host_key("node01")
        private = [path for path in Path(".lab").rglob("*ed25519*") if path.suffix != ".pub"]
        assert len(private) == 2
        assert {path.stat().st_mode & 0o777 for path in private} == {0o600}

    def test_a_pair_that_was_cut_short_is_made_again(self) -> None:
        keys.LOGIN_KEY.parent.mkdir()
        keys.LOGIN_KEY.write_text("half a key")
        assert keys.login_key().startswith("ssh-ed25519 ")
        assert "half" not in keys.LOGIN_KEY.read_text()

    def test_known_hosts_has_name_and_address(self) -> None:
        keys.write_known_hosts([("node01", IPv4Address("192.168.80.11"))])
        assert keys.KNOWN_HOSTS.read_text() == f"node01,192.168.80.11 {keys.host_key('node01')[1]}\n"


class TestSettings:
    @pytest.mark.parametrize("own_builds", [{}, BUILT], ids=["upstream", "built"])
    def test_the_model_takes_them(self, own_builds: dict[str, str]) -> None:
        values = lab_settings("1.20.15", own_builds)
        own = {name: value for name, value in values.items() if not name.startswith("ssh_")}
        assert read(Settings, own, {})[1] == []

    def test_versions_are_left_to_the_release_unless_something_was_built(self) -> None:
        downloaded = lab_settings("1.20.15", {})
        assert not {"artifacts_dir", "own_builds", "etcd_version"} & downloaded.keys()
        assert lab_settings("1.20.15", BUILT)["etcd_version"] == "3.4.23"

    @pytest.mark.parametrize(
        ("version", "plugin"), [("1.24.17", "io.containerd.grpc.v1.cri"), ("1.37.2", "io.containerd.cri.v1.runtime")]
    )
    def test_containerd_asks_for_no_lower_score_where_the_capability_is_missing(
        self, version: str, plugin: str
    ) -> None:
        extra = {"plugins": {plugin: {"restrict_oom_score_adj": True}}}
        assert lab_settings(version, {})["containerd_extra_config"] == extra
        assert "containerd_extra_config" not in lab_settings(version, {}, restricted=False)
        assert "containerd_extra_config" not in lab_settings("1.20.15", {})

    def test_what_containerd_needs_follows_from_the_clusters_runtime_and_version(self) -> None:
        old = lab_settings("1.23.17", BUILT, container_runtime="containerd")
        assert old["crictl"] is False
        assert old["containerd_extra_config"] == {
            "plugins": {"io.containerd.grpc.v1.cri": {"restrict_oom_score_adj": True}}
        }
        newer = lab_settings("1.30.14", {}, containerd_version="2.0.1")["containerd_extra_config"]
        assert newer == {"plugins": {"io.containerd.cri.v1.runtime": {"restrict_oom_score_adj": True}}}

    def test_where_crictl_cannot_be_built_the_lab_does_without(self) -> None:
        there = BUILT | {"crictl/1.37.0/crictl-v1.37.0-linux-amd64.tar.gz": "sha256:" + "2" * 64}
        assert lab_settings("1.24.17", BUILT)["crictl"] is False
        assert "crictl" not in lab_settings("1.37.2", there)
        assert "crictl" not in lab_settings("1.24.17", {})

    def test_the_release_that_the_lab_was_told_of_holds_until_the_machines_are_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert settings.release_asked_for() == {}
        settings.write({"cluster_name": "lab", "kubernetes_version": "1.37.2"}, [], [])
        assert settings.release_asked_for() == {"kubernetes_version": "1.37.2"}
        settings.forget()
        assert settings.release_asked_for() == {}

    def test_the_file_is_python_and_has_the_same_values(self) -> None:
        values = lab_settings("1.20.15", BUILT)
        assert _executed(settings.assignments(values)) == values

    def test_docker_inventory_keeps_order_and_groups(self) -> None:
        node, master = machine("b", "10.1.0.2", "node", "etcd"), machine("a", "10.1.0.1", "master")
        groups = _executed(settings.docker_inventory([node, master], [node, master]))
        data = {"docker_identifier": "kubeinfra-b", "hostname": "b", "address": "10.1.0.2"}
        assert groups["all"][0] == ("@docker/kubeinfra-b", data)
        assert [name for name, _ in groups["all"]] == ["@docker/kubeinfra-b", "@docker/kubeinfra-a"]
        assert groups["etcd"] == groups["node"] == ["@docker/kubeinfra-b"]
        assert groups["master"] == ["@docker/kubeinfra-a"]
        assert "lb" not in groups

    def test_docker_inventory_reaches_what_is_no_container_by_ssh(self) -> None:
        node, master = machine("b", "10.1.0.2", "node", "etcd"), machine("a", "10.1.0.1", "master")
        groups = _executed(settings.docker_inventory([node, master], [master]))
        assert groups["all"][0] == ("b", {"ssh_hostname": "10.1.0.2", "hostname": "b"})
        assert (groups["etcd"], groups["master"]) == (["b"], ["@docker/kubeinfra-a"])


class TestPhases:
    def test_a_finished_step_is_timed_and_tells_its_result(self) -> None:
        said = io.StringIO()
        phases = Phases(Console(file=said, soft_wrap=True))
        with phases("image") as step:
            step.note("an early note is not worth a line")
            step.result = "built [once]"
        assert [name for name, _ in phases.finished] == ["image"]
        assert re.fullmatch(r"ok image +0\.0 s  built \[once\]\n", said.getvalue())

    def test_a_failed_step_shows_and_lets_the_error_pass(self) -> None:
        said = io.StringIO()
        phases = Phases(Console(file=said, soft_wrap=True))
        with pytest.raises(KubeinfraError, match="no room"), phases("image"):
            raise KubeinfraError("no room")
        assert phases.finished == []
        assert said.getvalue().startswith("!! image")


class TestShim:
    MENTIONED = r'"args":["echo","\"CAP_SYS_RESOURCE\",\"oomScoreAdj\":-1"]'
    ASKED = (
        f'{{{MENTIONED},"capabilities":{{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE","CAP_SYS_TIME"],'
        '"permitted":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},"oomScoreAdj":-998,"cwd":"/"}'
    )
    LEFT = (
        f'{{{MENTIONED},"capabilities":{{"bounding":["CAP_CHOWN","CAP_SYS_TIME"],'
        '"permitted":["CAP_CHOWN"],"effective":[]},"cwd":"/"}'
    )

    @pytest.fixture
    def config(self, tmp_path: Path) -> Path:
        runc = tmp_path / "bin" / "runc"
        runc.parent.mkdir()
        runc.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        runc.chmod(0o755)
        (tmp_path / "config.json").write_text(self.ASKED)
        return tmp_path / "config.json"

    def test_create_asks_for_less_in_the_bundle(self, config: Path) -> None:
        arguments = ["--root", "/run/runc", "create", "--bundle", str(config.parent), "name"]
        assert _shim(config, *arguments) == arguments
        assert config.read_text() == self.LEFT

    def test_exec_asks_for_less_in_the_process(self, config: Path) -> None:
        arguments = ["exec", "--process", str(config), "--detach", "name"]
        assert _shim(config, *arguments) == arguments
        assert config.read_text() == self.LEFT

    def test_other_calls_are_passed_on(self, config: Path) -> None:
        assert _shim(config, "kill", "name", "15") == ["kill", "name", "15"]
        assert config.read_text() == self.ASKED

    def test_in_place_of_runc_it_calls_the_other_one(self, config: Path) -> None:
        """As in a machine, where it comes first on PATH."""
        (config.parent / "local").mkdir()
        copy = shutil.copy(SHIM, config.parent / "local" / "runc")
        path = f"{config.parent / 'local'}:{config.parent / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run([copy, "list"], env={"PATH": path}, capture_output=True, text=True, timeout=20)
        assert done.stdout.splitlines() == ["list"], done.stderr


def _executed(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(text, {}, names)
    return names


def _shim(config: Path, *arguments: str) -> list[str]:
    path = f"{config.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.check_output([SHIM, *arguments], env={"PATH": path}, text=True).splitlines()
