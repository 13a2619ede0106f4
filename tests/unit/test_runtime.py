"""The container runtime is used through one protocol: no other code knows which one it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KNOW_IT = {
    "kubeinfra/cluster/settings.py": "what users may say of it",
    "kubeinfra/cluster/types.py": "the types of those settings",
    "kubeinfra/releases/catalogue.py": "which releases go with which",
    "kubeinfra/reports/releases.py": "the table of that",
    "kubeinfra/artifacts/images.py": "tar files in the form of `docker save`, which every runtime reads",
    "kubeinfra/artifacts/store.py": "the same tar files",
    "kubeinfra/run/inventory.py": "pyinfra's own connector of that name",
    "kubeinfra/cluster/cluster.py": "which runtime the release has",
    "kubeinfra/cluster/registries.py": "what users may say of Docker Hub",
    "kubeinfra/cluster/runtimes.py": "which of these settings go together",
    "kubeinfra/components/runtime/__init__.py": "the runtimes that there are",
    "kubeinfra/components/runtime/containerd.py": "Docker's package of containerd, and a Docker next to it",
    "tasks/containerd.py": "Docker's repository",
    "kubeinfra/components/platforms.py": "what each distribution calls its packages",
    "kubeinfra/facts/software.py": "its repository, if the machine has it already",
    "kubeinfra/machine/software.py": "the same",
    "kubeinfra/checks/catalogue.py": "what a check looks at, for its page",
    "kubeinfra/checks/networks.py": "the setting for its repository",
    "kubeinfra/facts/machine.py": "/.dockerenv, which tells a container",
    "kubeinfra/artifacts/registry.py": "skopeo's names of a registry, and of a tar file",
    "deploy.py": "the table of contents",
}


def test_only_its_own_files_and_the_settings_name_docker() -> None:
    files = [path for part in ("kubeinfra", "tasks", "day2") for path in (ROOT / part).rglob("*.py")]
    naming = {
        str(path.relative_to(ROOT))
        for path in [*files, ROOT / "deploy.py"]
        if not path.name.startswith("docker") and re.search("docker", path.read_text(), re.IGNORECASE)
    }
    assert naming == set(KNOW_IT)
