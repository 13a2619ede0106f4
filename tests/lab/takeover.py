"""A cluster that an earlier commit of this project has made, taken over by this one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from invocation import Invocation
from laboratory import PROJECT, Lab
from observe import Processes, machine_trees, processes

# The last commit before everything got its place by subject, and CAs and the controller's directory another form.
EARLIER = "1da7013"
# A setting of the lab's that it does not know.
UNKNOWN = "preflight_ignore"
# One master that is a node, and one that is none.
STACKED = """\
machines = [
    ("one", {"ssh_hostname": "192.168.80.10"}),
    ("two", {"ssh_hostname": "192.168.80.11"}),
    ("three", {"ssh_hostname": "192.168.80.12"}),
]
master = ["one", "three"]
node = ["one", "two"]
etcd = ["one", "two", "three"]
lb = ["two"]
"""


class EarlierLab(Lab):
    """A controller with the code of that commit; for the machines of another."""

    def make_controller(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(mode=0o700, parents=True)
        archive = subprocess.check_output(["git", "archive", EARLIER], cwd=PROJECT)
        subprocess.run(["tar", "-x"], cwd=self.directory, input=archive, check=True)
        (self.directory / "inventory.py").write_text(self.inventory)


@dataclass(frozen=True)
class Upgrade:
    """A plan by this code for a cluster that the earlier one has made, a run, and what was seen before and after."""

    lab: Lab
    earlier: Lab
    plan: Invocation
    run: Invocation
    trees: dict[str, dict[str, str]]
    """As the earlier code left it, planned for, run."""
    processes: dict[str, Processes]


def has_history() -> bool:
    """A shallow clone, or a tar file, has no earlier commits."""
    look = ["git", "rev-parse", "--quiet", "--verify", f"{EARLIER}^{{commit}}"]
    return subprocess.run(look, cwd=PROJECT, capture_output=True).returncode == 0


def take_over(machines: Lab, figures: list[str]) -> Upgrade:
    """
    The same `.kubeinfra` in another checkout: that is all a user does.

    + machines: with a controller that has this code, and has never deployed; + figures: gets a line
    """
    earlier = EarlierLab("earlier", inventory=machines.inventory)
    earlier.make_controller()
    shutil.copytree(machines.directory / ".lab", earlier.directory / ".lab")
    earlier.forget_own_setting(UNKNOWN)
    made = earlier.deploy()
    figures.append(f"first deploy by {EARLIER} of three machines: {made.seconds:.1f} s")
    shutil.copytree(earlier.directory / ".kubeinfra", machines.directory / ".kubeinfra")
    earlier.require_healthy("as the earlier code left it")
    trees, seen = {"before": machine_trees(machines)}, {"before": processes(machines)}
    plan = machines.pyinfra("deploy.py", "--json", plan=True)
    trees["planned"], seen["planned"] = machine_trees(machines), processes(machines)
    run = machines.deploy("--json")
    trees["after"], seen["after"] = machine_trees(machines), processes(machines)
    return Upgrade(machines, earlier, plan, run, trees, seen)
