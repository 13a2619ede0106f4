"""
The parts of the documentation that are made from the code, so that both say the same.

In a page they stand between `<!-- NAME -->` and `<!-- /NAME -->`; `python -m docs.generate` rewrites all of
them. In a Chinese page (`*.zh.md`) the meanings of the settings are written by hand, and stay; a setting or a word
without a translation has the English one.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kubeinfra.artifacts.images import image_path
from kubeinfra.checks.catalogue import CHECKS, NUMBERS
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.settings import Settings
from kubeinfra.components.artifacts_needed import node_images
from kubeinfra.components.platforms import CANNED, PLATFORMS
from kubeinfra.components.ports import ports
from kubeinfra.releases import catalogue as releases
from kubeinfra.reports import releases as releases_report

ROOT = Path(__file__).resolve().parents[1]
ARCH = "amd64"  # of the artifacts that are named as examples
GUIDE = Cluster((), Settings(kubernetes_version=runpy.run_path(str(ROOT / "group_data/all.py"))["kubernetes_version"]))
"""The guide's cluster, of the release that the project ships with; without its machines."""


class _Words(dict[str, str]):
    """English -> what a page says instead; a word that is not there stays as it is."""

    def __missing__(self, word: str) -> str:
        return word


_ENGLISH = _Words(
    {
        "master": "masters",
        "lb": "load balancers",
        "node": "nodes",
        "IP protocol": "IP protocol (VRRP)",
    }
)
_CHINESE = _Words(
    _ENGLISH
    | {
        "setting": "设置",
        "type": "类型",
        "default": "默认值",
        "what it does": "含义",
        "check": "检查项",
        "level": "级别",
        "what it tells": "报告什么",
        "error": "错误",
        "warning": "警告",
        "note": "提示",
        "text": "文本",
        "number": "整数",
        "True or False": "True 或 False",
        "list": "列表",
        "list or dictionary": "列表或字典",
        "dictionary": "字典",
        "address": "地址",
        "network": "网段",
        "number or percentage": "整数或百分比",
        " or ": " 或 ",
        "to": "目标",
        "port": "端口",
        "from": "来源",
        "all": "全部",
        "controller": "控制机",
        "master": "master",
        "lb": "负载均衡",
        "node": "node",
        "masters": "master",
        "etcd members": "etcd 成员",
        "load balancers": "负载均衡",
        "nodes": "node",
        "nodes (Service `kubernetes`)": "node（Service `kubernetes`）",  # noqa: RUF001
        "nodes (flannel, vxlan)": "node（flannel vxlan）",  # noqa: RUF001
        "nodes (metrics-server)": "node（metrics-server）",  # noqa: RUF001
        "you": "你自己",
        "you if there are no load balancers": "没有负载均衡时还有你自己",
        "each other": "彼此",
        "distribution": "发行版",
        "release": "版本",
        "as a setting": "设置中的写法",
        "kernel": "内核",
        "packages of docker-ce": "docker-ce 软件包",
        "checked": "检验方式",
        "machine": "真实机器或虚拟机",
        "container": "容器",
        "real package manager": "真实的包管理器",
        "canned facts": "预置的 facts",
        "minor": "次版本",
        "newest": "最新补丁",
        "supported until": "上游支持至",
        "runtime": "默认运行时",
        "CNI plugins": "CNI 插件",
        "proved": "实际部署过",
        "not proved": "未验证",
        "date": "日期",
        "machines": "机器数",
        "first deploy": "首次部署",
        "second run": "第二次运行",
        "how": "方式",
        "IP protocol": "IP 协议（VRRP）",  # noqa: RUF001
        ", ": "、",
    }
)
_IS_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def pages() -> list[Path]:
    """The pages of the documentation: README in each language, and docs/."""
    return sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md")])


def updated(page: str, chinese: bool = False) -> str:
    """The text of a page with its generated parts as the code has them now."""
    return re.sub(r"(<!-- (\w+) -->\n).*?(?=<!-- /\2 -->)", lambda block: _block(block, chinese), page, flags=re.DOTALL)


def meanings(page: str) -> dict[str, str]:
    """Setting or check -> the last cell of its row, in a page with a table of these."""
    rows = re.findall(r"^\| (?:\d+ \| )?`([\w-]+)` \|.* \| (.*) \|$", page, flags=re.MULTILINE)
    return dict(rows)


def translations(page: str) -> dict[str, str]:
    """Setting or check -> its Chinese meaning; without those that are English still, which follow the code."""
    return {name: meaning for name, meaning in meanings(page).items() if _IS_CHINESE.search(meaning)}


def settings_table(words: Mapping[str, str] = _ENGLISH, translated: Mapping[str, str] | None = None) -> str:
    """
    Every setting as a Markdown table: name, type, default, meaning.

    + words: of another language; + translated: setting -> its meaning in it; one that is missing stays English
    """
    schema = Settings.model_json_schema()["properties"]
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default}`"
        meaning = (translated or {}).get(name) or (field.description or "").replace("|", "\\|")
        rows.append((f"`{name}`", _type(schema[name], words), shown, meaning))
    return _table((words["setting"], words["type"], words["default"], words["what it does"]), rows)


def ports_table(words: Mapping[str, str] = _ENGLISH) -> str:
    """The ports that must be open between the machines of the guide's cluster."""
    rows = [(words["all"], "tcp 22", words["controller"])]
    for group, listening in ports(GUIDE).items():
        for port in listening:
            if port.sources:
                sources = words[", "].join(words[source] for source in port.sources)
                rows.append((words[group], f"{words[port.protocol]} {port.number}", sources))
    return _table((words["to"], words["port"], words["from"]), rows)


def checks_table(words: Mapping[str, str] = _ENGLISH, translated: Mapping[str, str] | None = None) -> str:
    """Preflight's checks; words and translated as for settings."""
    rows = []
    for check in CHECKS:
        what = (translated or {}).get(check.name) or check.what
        levels = words[", "].join(words[level] for level in check.levels)
        rows.append((str(NUMBERS[check.name]), f"`{check.name}`", levels, what))
    return _table(("#", words["check"], words["level"], words["what it tells"]), rows)


def artifacts_table() -> str:
    """What `artifacts_dir` needs for the default release: each file, and its source."""
    release = releases.release(releases.DEFAULT)
    versions = {"kubernetes": release.kubernetes, "etcd": release.etcd, "cni-plugins": release.cni_plugins}
    if release.container_runtime == "containerd":
        versions |= {"containerd": release.containerd, "runc": release.runc, "crictl": release.crictl}
    rows = []
    for name, version in versions.items():
        artifact = releases.artifact(name, version, ARCH)
        checksums = "" if artifact.digest else f", and `{artifact.checksum_url.rpartition('/')[2]}` of the same place"
        rows.append((f"`{artifact.path}`", f"<{artifact.url}>{checksums}"))
    images = node_images(Cluster((), Settings()))
    rows += [(f"`{image_path(image, ARCH)}`", f"`docker save {image}`") for image in images]
    return _table((f"file below `artifacts_dir`, for {ARCH}", "from"), rows)


def releases_table(words: Mapping[str, str] = _ENGLISH) -> str:
    """Every minor, with what goes with it."""
    header = (
        "minor",
        "newest",
        "supported until",
        "runtime",
        "etcd",
        "containerd",
        "runc",
        "CNI plugins",
        "CoreDNS",
        "metrics-server",
        "pause",
        "proved",
    )
    lines = [
        (
            row.minor,
            row.release.newest,
            str(row.end_of_life),
            row.release.container_runtime,
            row.etcd,
            row.containerd,
            row.release.runc,
            row.release.cni_plugins,
            row.tag("coredns"),
            row.tag("metrics_server"),
            row.tag("pause"),
            words[row.proved],
        )
        for row in releases_report.rows()
    ]
    return _table(tuple(words[word] for word in header), lines)


def proofs_table(words: Mapping[str, str] = _ENGLISH) -> str:
    """Every release that was deployed for real: when and how, and how long it took."""
    header = ("release", "date", "machines", "first deploy", "second run", "how")
    proofs = [proof for row in releases_report.rows() for proof in reversed(row.proofs)]
    lines = [(one.release, str(one.date), *_figures(one), one.how) for one in proofs]
    return _table(tuple(words[word] for word in header), lines)


def _figures(proof: releases.Proof) -> tuple[str, str, str]:
    if proof.machines is None:
        return ("-", "-", "-")
    return str(proof.machines), f"{proof.first_deploy} s", f"{proof.second_run} s"


def platforms_table(words: Mapping[str, str] = _ENGLISH) -> str:
    """Every release of a distribution, and how the deploy was checked on it."""
    header = (
        "distribution",
        "release",
        "as a setting",
        "systemd",
        "kernel",
        "cgroup",
        "packages of docker-ce",
        "checked",
    )
    lines = [
        (
            one.title,
            one.release,
            f"`{one.name}`",
            str(one.systemd),
            one.kernel,
            f"v{one.cgroup}",
            f"`{one.docker_path}/{one.docker_suite}`",
            words[", "].join(words[how] for how in (*one.checked, CANNED)),
        )
        for one in PLATFORMS.values()
    ]
    return _table(tuple(words[word] for word in header), lines)


def packages_table() -> str:
    """What each family installs, by the part of a machine that needs it."""
    families = {one.family: one for one in PLATFORMS.values()}
    names = (
        "host",
        "apparmor",
        "ipvs",
        "nftables",
        "etcd",
        "load_balancer",
        "nginx_packages",
        "docker",
        "containerd",
        "chrony",
        "chrony_conf",
        "nginx_user",
    )
    rows = []
    for family, one in sorted(families.items()):
        for name in names:
            value = getattr(one, name)
            rows.append((family, f"`{name}`", " ".join(value) if isinstance(value, tuple) else f"`{value}`"))
    return _table(("family", "in the table", "value"), rows)


def _block(block: re.Match[str], chinese: bool) -> str:
    begin, name = block[1], block[2]
    if name == "artifacts":
        return f"{begin}{artifacts_table()}\n"
    if name == "checks":
        return f"{begin}{checks_table(_CHINESE, translations(block[0])) if chinese else checks_table()}\n"
    if name == "ports":
        return f"{begin}{ports_table(_CHINESE if chinese else _ENGLISH)}\n"
    if name == "platforms":
        return f"{begin}{platforms_table(_CHINESE if chinese else _ENGLISH)}\n"
    if name == "releases":
        return f"{begin}{releases_table(_CHINESE if chinese else _ENGLISH)}\n"
    if name == "proofs":
        return f"{begin}{proofs_table(_CHINESE if chinese else _ENGLISH)}\n"
    if name == "packages":
        return f"{begin}{packages_table()}\n"
    if name == "settings":
        return f"{begin}{settings_table(_CHINESE, translations(block[0])) if chinese else settings_table()}\n"
    return block[0]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _type(schema: dict[str, Any], words: Mapping[str, str]) -> str:
    if "anyOf" in schema:
        return _type(next(one for one in schema["anyOf"] if one.get("type") != "null"), words)
    if "enum" in schema:
        return words[" or "].join(f"`{value}`" for value in schema["enum"])
    kinds = {"string": "text", "integer": "number", "boolean": "True or False", "array": "list", "object": "dictionary"}
    return words[str(schema.get("format") or kinds[schema["type"]])]


def main() -> None:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        path.write_text(updated(text, chinese=path.name.endswith(".zh.md")), encoding="utf-8")


if __name__ == "__main__":
    main()
