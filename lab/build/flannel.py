"""flannel's two images: flanneld with Debian's iptables, and the CNI plugin with a `cp` to install it."""

import re
from pathlib import Path

from kubeinfra.errors import KubeinfraError

from . import debian, go, images
from .workspace import Workspace

VERSION = "v0.28.10"
FLANNEL = f"ghcr.io/flannel-io/flannel:{VERSION}"
CNI_PLUGIN = "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3"
OLD_PLUGINS = "v0.9.1"  # the CNI project's last release with the flannel plugin: its own module is not published

# tencentvpc needs an SDK version that is not published; udp, meant for debugging, needs cgo.
DROPPED_BACKENDS = ("tencentvpc", "udp")
# xtables-nft-multi, so that the rules land in the same tables as those of the machines' own iptables.
IPTABLES_PACKAGES = (
    "iptables",
    "libc6",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libxtables12",
)
IPTABLES_COMMANDS = ("iptables", "iptables-save", "iptables-restore")


def build_image(product: Path, work: Workspace) -> None:
    """flanneld, upstream's install-conf for the init container, iptables, and a shell to look around with."""
    root = work.scratch / "flannel"
    binaries = _build_flannel(work)
    images.install(binaries / "flannel", root / "opt/bin/flanneld")
    images.install(binaries / "install_conf", root / "opt/bin/install-conf")
    work.expect(VERSION, root / "opt/bin/flanneld", "--version")
    images.add_busybox(root, work)
    _add_iptables(root, work)
    images.save(product, FLANNEL, root, entrypoint=["/opt/bin/flanneld"])


def build_cni_plugin_image(product: Path, work: Workspace) -> None:
    """The flannel plugin as of CNI plugins 0.9.1: it speaks cniVersion 0.4.0 and older."""
    root = work.scratch / "flannel-cni-plugin"
    plugins = go.module("github.com/containernetworking/plugins", OLD_PLUGINS, work)
    images.install(plugins.build("./plugins/meta/flannel") / "flannel", root / "flannel")
    images.add_busybox(root, work)
    images.save(product, CNI_PLUGIN, root, entrypoint=["/bin/sh"])


def _build_flannel(work: Workspace) -> Path:
    flannel = go.module("github.com/flannel-io/flannel", VERSION, work)
    main = flannel.directory / "main.go"
    dropped = tuple(f'pkg/backend/{backend}"' for backend in DROPPED_BACKENDS)
    lines = main.read_text().splitlines(keepends=True)
    main.write_text("".join(line for line in lines if not line.rstrip().endswith(dropped)))
    version = f"-X github.com/flannel-io/flannel/pkg/version.Version={VERSION}"
    return flannel.build(".", "./cmd/install_conf", ldflags=version)


def _add_iptables(root: Path, work: Workspace) -> None:
    """The nft variant of iptables and ip6tables, its extensions, and just the libraries that they load."""
    system = debian.unpack(work, *IPTABLES_PACKAGES)
    folder = work.architecture.libraries
    program = debian.find(system, "sbin/xtables-nft-multi")
    extensions = sorted(debian.find(system, f"{folder}/xtables").glob("*.so"))
    for extension in extensions:
        images.install(extension, root / "usr" / folder / "xtables" / extension.name)
    for name, library in _libraries(system, [program, *extensions], work).items():
        images.install(library, root / folder / name)
    images.install(_loader(system, work), root / work.architecture.loader)
    images.install(program, root / "usr/sbin/xtables-nft-multi")
    for command in IPTABLES_COMMANDS:
        (root / "usr/sbin" / command).symlink_to("xtables-nft-multi")
        (root / "usr/sbin" / command.replace("ip", "ip6", 1)).symlink_to("xtables-nft-multi")


def _loader(system: Path, work: Workspace) -> Path:
    return debian.find(system, f"{work.architecture.libraries}/{Path(work.architecture.loader).name}")


def _libraries(system: Path, programs: list[Path], work: Workspace) -> dict[str, Path]:
    """Name -> file of the libraries that the dynamic loader finds for these programs in the packages."""
    loader, folder = _loader(system, work), work.architecture.libraries
    places = f"{system / 'usr' / folder}:{system / folder}"
    libraries = {}
    for program in programs:
        listed = work.run(loader, "--library-path", places, "--list", program)
        for name, path in re.findall(r"^\s*([^/\s]\S*) => (\S+)", listed, re.MULTILINE):
            if not path.startswith(f"{system}/"):
                raise KubeinfraError(f"{program.name} needs {name}, which none of {', '.join(IPTABLES_PACKAGES)} has")
            libraries[name] = Path(path)
    return libraries
