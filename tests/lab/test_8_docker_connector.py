"""A cluster made another way, on fresh machines: by Docker's connector."""

from __future__ import annotations

from collections.abc import Callable

from laboratory import Lab
from observe import assert_finished, command_lines, secrets, spoken

# A machine for each component.
SMALL = """\
machines = [
    ("master01", {"ssh_hostname": "192.168.80.10"}),
    ("node01", {"ssh_hostname": "192.168.80.11"}),
    ("lb01", {"ssh_hostname": "192.168.80.13"}),
]
master = etcd = ["master01"]
node = ["node01"]
lb = ["lb01"]
"""


def test_the_docker_connector_makes_a_cluster_and_tells_no_secret(
    bring_up: Callable[..., Lab], figures: list[str]
) -> None:
    """With -vvv, and with an eye on every command line: this connector's are on this machine too."""
    lab = bring_up("docker", inventory=SMALL)
    inventory = ".lab/docker_inventory.py"
    with command_lines() as seen:
        done = lab.deploy("-vvv", inventory=inventory)
    figures.append(f"deploy by the Docker connector: {done.seconds:.1f} s")
    assert_finished(lab, done, inventory=inventory)
    known = secrets(lab)
    assert "sha256sum" in done.text and any("docker exec" in line for line in seen), "this should be all that ran"
    assert not spoken(known, done.text), f"pyinfra's output should not tell {spoken(known, done.text)}"
    told = spoken(known, "\n".join(seen))
    assert not told, f"no command line should tell {told}"
