"""A process remembers what it was started from: recorded, read back, and compared with what is on the disk."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from local_machine import answer, program

from kubeinfra.components.base import Unit
from kubeinfra.facts.units import UnitsAndHealth, UnitState, UnitStates
from kubeinfra.machine.inputs import record_inputs
from kubeinfra.operations.units import restart_verb, stale_reasons

UNIT, BINARY = "etcd.service", "/opt/etcd/bin/etcd"
CFG, CERTIFICATE, UNIT_FILE = "/opt/etcd/cfg/etcd", "/opt/etcd/ssl/server.pem", f"/etc/systemd/system/{UNIT}"


WAS = "what it was"


def running(*stale: str, active: str = "active", reload_needed: bool = False) -> UnitState:
    return UnitState(active, "enabled", reload_needed, dict.fromkeys((UNIT_FILE, CFG, CERTIFICATE), WAS), stale)


CHANGED = "has changed since it started"
REASONS: list[tuple[str, UnitState, set[str], list[str]]] = [
    ("started from what is on the disk", running(), set(), []),
    ("a file was changed", running(CFG), set(), [f"{CFG} {CHANGED}"]),
    ("two files were changed", running(CFG, CERTIFICATE), set(), [f"{CFG} {CHANGED}", f"{CERTIFICATE} {CHANGED}"]),
    ("another binary is on the disk", running(BINARY), set(), [f"{BINARY} {CHANGED}"]),
    ("a plan changes an input", running(), {CFG, "/etc/hosts"}, [f"{CFG} changes"]),
    ("a plan changes the binary", running(), {BINARY}, [f"{BINARY} changes"]),
    ("a plan changes what has changed already", running(CFG), {CFG}, [f"{CFG} changes"]),
    ("a plan changes what others read", running(), {"/etc/hosts"}, []),
    ("nothing was recorded", running("/run/kubeinfra/x.inputs"), set(), [f"/run/kubeinfra/x.inputs {CHANGED}"]),
    (
        "systemd has not read it",
        running(reload_needed=True),
        set(),
        ["systemd runs an older unit file than the disk has"],
    ),
    ("both", running(UNIT_FILE, reload_needed=True), set(), [f"{UNIT_FILE} {CHANGED}"]),
    ("it does not run", running(CFG, active="inactive"), {CFG}, []),
    ("it has failed", running(CFG, active="failed"), {CFG}, []),
    ("it is starting", running(CFG, active="activating"), set(), [f"{CFG} {CHANGED}"]),
    ("there is no such unit", UnitState("", "", False, {}, ()), {CFG, BINARY}, []),
]


@pytest.mark.parametrize(
    ("found", "changing", "reasons"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS]
)
def test_why_a_process_restarts(found: UnitState, changing: set[str], reasons: list[str]) -> None:
    assert stale_reasons(Unit(UNIT, BINARY), found, dict.fromkeys(changing, "another")) == reasons


def test_a_file_that_a_plan_changes_back_restarts_nothing() -> None:
    assert stale_reasons(Unit(UNIT, BINARY), running(CFG), {CFG: WAS}) == []


def test_a_unit_whose_binary_is_not_ours_does_not_care_for_binaries() -> None:
    assert stale_reasons(Unit(UNIT), running(), {BINARY: "another"}) == []


@pytest.mark.parametrize(
    ("reloads", "found", "verb"),
    [
        (False, running(CFG), "restart"),
        (True, running(CFG), "reload"),
        (True, running(UNIT_FILE), "restart"),
        (True, running(CFG, reload_needed=True), "restart"),
        (True, running(BINARY), "restart"),
        (True, UnitState("active", "enabled", False, {}, ("/run/kubeinfra/x.inputs",)), "restart"),
    ],
)
def test_a_reload_is_enough_for_configuration_but_not_for_the_unit(reloads: bool, found: UnitState, verb: str) -> None:
    unit = Unit(UNIT, BINARY, reloads=reloads)
    assert restart_verb(unit, found, stale_reasons(unit, found, {})) == verb


# The shell of both halves, run on this machine with a systemctl that answers for one process of ours.


class Service:
    """A process that was started as systemd would: ExecStartPre first, then the binary."""

    def __init__(self, directory: Path) -> None:
        self.binary, self.run = directory / "sleep", directory / "run"
        self.config, self.certificate = directory / "config", directory / "client.pem"
        shutil.copy("/bin/sleep", self.binary)
        self.config.write_text("one\n")
        self.programs = program(directory / "programs", "systemctl", "exit 1")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.stop()
        line = record_inputs(UNIT, [str(self.config)], existence=[str(self.certificate)])
        # systemd splits ExecStartPre as a shell would; this line has nothing that it expands.
        assert not set(line) & set("%$")
        subprocess.run(shlex.split(line.replace("/run/kubeinfra", str(self.run))), check=True)
        self.process = subprocess.Popen([self.binary, "60"])
        self.systemctl(self.process.pid)

    def systemctl(self, pid: int, active: str = "active", reload: str = "no") -> None:
        says = f"ActiveState={active}\\nUnitFileState=enabled\\nNeedDaemonReload={reload}\\nMainPID={pid}\\n"
        program(self.programs, "systemctl", f'[ "$1 $2" = "show {UNIT}" ] || exit 1; printf "{says}"')

    def state(self) -> UnitState:
        found = answer(
            UnitStates(),
            programs=self.programs,
            instead={"/run/kubeinfra": str(self.run)},
            binaries={UNIT: str(self.binary)},
        )
        state: UnitState = found[UNIT]
        return state

    def stale(self) -> list[str]:
        return [Path(path).name for path in self.state().stale]

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    started = Service(tmp_path)
    started.start()
    yield started
    started.stop()


def test_what_a_process_was_started_from_is_read_back(service: Service) -> None:
    config = sha256(service.config.read_bytes()).hexdigest()
    recorded = {str(service.config): config, str(service.certificate): "absent"}
    assert service.state() == UnitState("active", "enabled", False, recorded, ())


def test_a_changed_file_is_stale_until_the_next_start(service: Service) -> None:
    service.config.write_text("two\n")
    assert service.stale() == ["config"]
    service.config.write_text("one\n")
    assert service.stale() == [], "only the content counts"
    service.config.unlink()
    assert service.stale() == ["config"]
    service.config.write_text("three\n")
    service.start()
    assert service.stale() == []


def test_of_some_files_only_existence_is_recorded(service: Service) -> None:
    """The kubelet's one restart, after its certificate was signed."""
    service.certificate.write_text("signed\n")
    assert service.stale() == ["client.pem"]
    service.start()
    assert service.stale() == []
    service.certificate.write_text("renewed\n")
    assert service.stale() == [], "the kubelet reads a renewed one by itself"
    service.certificate.unlink()
    assert service.stale() == ["client.pem"]


def test_another_binary_on_the_disk_is_stale(service: Service) -> None:
    other = service.binary.with_name("new")
    shutil.copy(service.binary, other)
    other.replace(service.binary)
    assert service.stale() == ["sleep"], "even of the same content: the process runs a file that is gone"
    service.start()
    assert service.stale() == []


def test_a_process_that_recorded_nothing_is_stale(service: Service) -> None:
    (service.run / f"{UNIT}.inputs").unlink()
    assert service.stale() == [f"{UNIT}.inputs"]


def test_a_unit_without_a_process_is_not_asked_further(service: Service) -> None:
    service.config.write_text("two\n")
    service.systemctl(0, active="inactive", reload="yes")
    assert service.state() == UnitState("inactive", "enabled", True, {}, ())


def test_without_systemd_every_unit_has_an_empty_state(service: Service) -> None:
    program(service.programs, "systemctl", "echo 'System has not been booted with systemd' >&2; exit 1")
    assert service.state() == UnitState("", "", False, {}, ())


def test_several_units_are_told_apart(service: Service) -> None:
    lines = [
        "unit=a.service",
        "ActiveState=active",
        "recorded=5e1f /a",
        "stale=/a",
        "unit=b.service",
        "ActiveState=failed",
    ]
    found = UnitStates().process(lines)
    assert found == {
        "a.service": UnitState("active", "", False, {"/a": "5e1f"}, ("/a",)),
        "b.service": UnitState("failed", "", False, {}, ()),
    }


def test_a_start_without_one_of_its_inputs_is_refused(tmp_path: Path) -> None:
    files = [str(tmp_path / "missing"), "/dev/null"]
    line = record_inputs(UNIT, files, existence=["/nowhere"]).replace("/run/kubeinfra", str(tmp_path))
    ran = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "missing" in ran.stderr


def test_existence_can_be_recorded_without_any_file(tmp_path: Path) -> None:
    line = record_inputs(UNIT, ["/dev/null"], existence=[str(tmp_path), "/nowhere"]).replace(
        "/run/kubeinfra", str(tmp_path)
    )
    subprocess.run(shlex.split(line), check=True)
    recorded = [line.split() for line in (tmp_path / f"{UNIT}.inputs").read_text().splitlines()]
    assert recorded[1:] == [["present", str(tmp_path)], ["absent", "/nowhere"]]


def test_units_and_probes_are_read_in_one_command(service: Service) -> None:
    service.config.write_text("two\n")
    units, healthy = answer(
        UnitsAndHealth(),
        programs=service.programs,
        instead={"/run/kubeinfra": str(service.run)},
        binaries={UNIT: str(service.binary)},
        probes={"one": "echo unit=other.service", "two": "exit 3", "three": "echo noise >&2; true"},
    )
    assert list(units) == [UNIT]
    assert [Path(path).name for path in units[UNIT].stale] == ["config"]
    assert healthy == {"one", "three"}


def test_probes_need_no_unit_that_is_there(service: Service) -> None:
    program(service.programs, "systemctl", "exit 1")
    units, answers = answer(UnitsAndHealth(), programs=service.programs, binaries={UNIT: ""}, probes={"one": "true"})
    assert (units[UNIT].active, answers) == ("", {"one"})


def test_an_optional_file_counts_by_its_content_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("text\n")
    line = record_inputs(UNIT, ["/dev/null"], [str(tmp_path / "there"), "/nowhere"])
    subprocess.run(shlex.split(line.replace("/run/kubeinfra", str(tmp_path))), check=True)
    recorded = [line.split() for line in (tmp_path / f"{UNIT}.inputs").read_text().splitlines()]
    assert [path for _, path in recorded[1:]] == [str(tmp_path / "there"), "/nowhere"]
    assert [len(was) == 64 for was, _ in recorded[1:]] == [True, False]
    assert recorded[2][0] == "absent"
