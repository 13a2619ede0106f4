"""cloud-init leaves host name and /etc/hosts alone, and where a cloud says otherwise, its template has our lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cluster_samples import SEEN, cluster, here
from local_machine import answer

from kubeinfra.components.host import CLOUD_INIT_CONF, cloud_init_files
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.edits import HOSTS_BEGIN
from kubeinfra.machine.wanted import Edit, File


@pytest.mark.parametrize(
    ("file", "text", "makes_hosts"),
    [
        # The image's own configuration, as many clouds deliver it.
        ("cloud.cfg", "preserve_hostname: false\nmanage_etc_hosts: true\n", True),
        # User data, merged: it wins over all files below /etc.
        ("instance/cloud-config.txt", "#cloud-config\n\nfqdn: a.b\nmanage_etc_hosts: True\n", True),
        ("instance/vendor-cloud-config.txt", "hostname: a\nmanage_etc_hosts: 'template'\n", True),
        # Its first boot is over, and the user data is of a form that is not read here.
        ("hosts", "# Your system has configured 'manage_etc_hosts' as True.\n127.0.0.1 localhost\n", True),
        ("cloud.cfg.d/10_ours.cfg", "manage_etc_hosts: localhost\n", False),
        ("cloud.cfg.d/10_ours.cfg", "manage_etc_hosts: false\n# manage_etc_hosts: true\n", False),
    ],
)
def test_what_cloud_init_does_at_boot_is_found(tmp_path: Path, file: str, text: str, makes_hosts: bool) -> None:
    for directory in ("cloud.cfg.d", "instance"):
        (tmp_path / directory).mkdir()
    (tmp_path / file).write_text(text)
    instead = {"/etc/cloud/": f"{tmp_path}/", "/var/lib/cloud/instance/": f"{tmp_path}/instance/"}
    found = answer(MachineFacts(), instead={**instead, "/etc/hosts": f"{tmp_path}/hosts"})
    assert (found.cloud_init, found.cloud_init_hosts) == (True, makes_hosts)


def test_a_machine_without_cloud_init_is_left_alone(tmp_path: Path) -> None:
    found = answer(MachineFacts(), instead={"/etc/cloud/": f"{tmp_path}/"})
    assert not found.cloud_init
    assert cloud_init_files(here(cluster(), "n1", SEEN)) == []


@pytest.mark.parametrize("family", ["debian", "redhat"])
def test_it_is_told_to_leave_both_alone(family: str) -> None:
    (file,) = cloud_init_files(here(cluster(), "n1", replace(SEEN, family=family, cloud_init=True)))
    assert isinstance(file, File)
    assert file.path == CLOUD_INIT_CONF
    assert yaml.safe_load(file.content or "") == {"preserve_hostname": True, "manage_etc_hosts": False}


@pytest.mark.parametrize("family", ["debian", "redhat"])
def test_the_template_of_etc_hosts_gets_our_lines(family: str) -> None:
    seen = replace(SEEN, family=family, cloud_init=True, cloud_init_hosts=True)
    _, template = cloud_init_files(here(cluster(), "n1", seen))
    assert isinstance(template, Edit)
    assert template.path == f"/etc/cloud/templates/hosts.{family}.tmpl"
    assert not template.create, "cloud-init warns of one that is missing, and leaves /etc/hosts as it is"
    before = "## template:jinja\n127.0.1.1 {{fqdn}} {{hostname}}\n127.0.0.1 localhost\n"
    after = template.edit(before)
    assert after.startswith(before)
    assert HOSTS_BEGIN in after
    assert "192.168.80.10 m1" in after
    assert "{{" not in after[len(before) :], "it goes through Jinja"
