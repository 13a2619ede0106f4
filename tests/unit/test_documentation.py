"""What the pages say that can be compared with the code: tables, samples, messages, paths."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from test_releases import versions_of_releases

from docs.generate import GUIDE, ROOT, meanings, pages, settings_table, translations, updated
from kubeinfra.cluster.settings import Settings
from kubeinfra.components import control_plane, etcd, load_balancer, network, node
from kubeinfra.components.base import Port, Unit
from kubeinfra.components.engines import ENGINES
from kubeinfra.components.runtime import runtime

SETTINGS, CHINESE_SETTINGS = ROOT / "docs/settings.md", ROOT / "docs/settings.zh.md"
PAGES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in pages()]
TRANSLATED = [
    pytest.param(path.with_name(path.name.replace(".zh.md", ".md")), path, id=str(path.relative_to(ROOT)))
    for path in pages()
    if path.name.endswith(".zh.md")
]
GENERATED = re.compile(r"<!-- (\w+) -->.*?<!-- /\1 -->", re.DOTALL)
# Code: between fences, or indented by four spaces after an empty line.
CODE = re.compile(r"^```.*?^```$|(?<=\n\n)(?: {4}[^\n]*\n)+", re.DOTALL | re.MULTILINE)
# A path of this project: below one of its directories, or a file of a kind that only we have at the top.
OWN = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")))
PATHS = re.compile(rf"(?<![\w./-])((?:{OWN})/[\w./-]*\w|[\w-]+\.(?:py|toml|md)|Makefile)(?![\w/])")
# Targets of links are relative to the page, and looked at by a test of their own.
LINKS = re.compile(r"\]\([^)]*\)")
# Messages that the pages quote: the part that stays the same whatever happened.
QUOTED = (
    "root is needed",
    "cannot be had: ",
    "set artifact_mirror to a URL prefix that serves it",
    " may be the beginning of one of:",
    "last answer:",
    "the pods of the traffic check do not become ready:",
    "does not reach",
    "a second CA would cut it off",
    "has changed since it started",
    " images have no tar file here, and neither ",
    "it was not copied whole, or was changed; copy it again",
    "name the file that `make bundle` has made, or copy it again",
    ": has packages for Python ",
    ": has packages for a machine with ",
    " (artifacts_dir is a bundle of ",
)
COMPONENT_PAGES = ROOT / "docs/components"
TASKS = [path.stem for path in sorted((ROOT / "tasks").glob("[!_]*.py"))]
# Page -> the units and the ports that it must name; verify, artifacts and the like have neither.
COMPONENTS: dict[str, tuple[Sequence[Unit], Sequence[Port]]] = {
    "etcd": ([etcd.UNIT], etcd.PORTS),
    "control_plane": (control_plane.UNITS, control_plane.ports(GUIDE)),
    "load_balancer": ([*(one.unit for one in ENGINES.values()), load_balancer.KEEPALIVED], load_balancer.ports(GUIDE)),
    "node": (node.UNITS, node.ports(GUIDE)),
    "network": ([], network.ports(GUIDE)),
    "docker": ([runtime(GUIDE).unit], []),
}
# What those pages quote, in English only.
QUOTED_BY_COMPONENTS = (
    "cannot be set from inside this machine",
    "what needs it will not work here",
    "what has arrived is damaged; run again",
    "kube-proxy falls back to iptables up to Kubernetes 1.25, and does not start from 1.26 on",
    "no interface has its address ",
    "commands do not run there as they should, the reason is above",
    "a plan, nothing was changed: ",
    "both hold the virtual address",
    "no load balancer holds the virtual address",
    "is not a usable address of its subnet",
    "is not JSON (",
    "the other etcd members are healthy",
    "the other API servers are ready",
    "the control plane is healthy",
    "the kubelet's certificate is signed",
    "flannel is rolled out",
    "CoreDNS is rolled out",
    "docker info says that cgroups are systemd's",
    "run tasks/network.py",
)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES)
def test_generated_tables_are_what_the_code_says(path: Path) -> None:
    page = text(path)
    assert page == updated(page, chinese=path.name.endswith(".zh.md")), "run: python -m docs.generate"


def test_both_tables_have_every_setting_in_the_order_of_the_model() -> None:
    for path in (SETTINGS, CHINESE_SETTINGS):
        assert list(meanings(text(path))) == list(Settings.model_fields), path.name
    assert settings_table() in text(SETTINGS)


def test_a_setting_without_a_chinese_meaning_has_the_english_one() -> None:
    """And follows it: what was filled in before is no translation."""
    page = text(CHINESE_SETTINGS)
    for row, filled in (
        (r"\1 |", "nothing at all"),
        (r"\1 An older English meaning. |", "an English meaning that the code had once"),
    ):
        untranslated = re.sub(r"(\| `cluster_name` .*\|) [^|]+ \|$", row, page, flags=re.MULTILINE)
        assert untranslated != page, "this test looks at nothing"
        now = meanings(updated(untranslated, chinese=True))
        assert now["cluster_name"] == Settings.model_fields["cluster_name"].description, filled
        assert now["etcd_version"] == translations(page)["etcd_version"], "another setting's translation stays"


def test_pages_are_translated() -> None:
    assert {path.values[1] for path in TRANSLATED} >= {ROOT / "README.zh.md", CHINESE_SETTINGS}


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED)
def test_a_translation_has_the_same_shape(english: Path, chinese: Path) -> None:
    assert shape(text(english)) == shape(text(chinese)), "a heading, a table or a block of code is in one only"


def shape(page: str) -> list[str]:
    """A page without its words: levels of headings, rows of tables, and code as it is."""
    found = []
    for block in re.finditer(r"^#+(?= )|^\|.*$", CODE.sub("", GENERATED.sub("", page)), re.MULTILINE):
        found.append(f"row of {block[0].count('|') - 1}" if block[0].startswith("|") else block[0])
    return found


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED)
def test_a_translation_shows_the_same_commands_and_messages(english: Path, chinese: Path) -> None:
    assert commands(text(english)) == commands(text(chinese))


def commands(page: str) -> list[str]:
    """Lines of code without remarks."""
    lines = [line for block in CODE.findall(page) for line in block.splitlines()]
    return [re.sub(r" +# .*", "", line) for line in lines]


@pytest.mark.parametrize("path", PAGES)
def test_every_path_that_a_page_names_exists(path: Path) -> None:
    named = set(PATHS.findall(LINKS.sub("]", GENERATED.sub("", text(path)))))
    assert named, "this test looks at nothing"
    missing = [name for name in sorted(named) if not (ROOT / name).exists() and not bare_name_of_a_file(name)]
    assert not missing, f"{path.name} names {missing}"


def bare_name_of_a_file(name: str) -> bool:
    """Such as "catalogue.toml" in a message, or "artifacts.md" in a link of its own directory."""
    return "/" not in name and any(ROOT.glob(f"[!.]*/**/{name}"))


@pytest.mark.parametrize("path", PAGES)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text(path)):
        page = path.parent / target if target else path
        assert page.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(text(page)), f"{path.name} links to #{anchor}"


def anchors(page: str) -> set[str]:
    """As GitHub makes them from headings."""
    titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "README.zh.md"], ids=lambda path: path.name)
def test_the_summary_that_the_readme_shows_is_what_check_prints(path: Path) -> None:
    command = [sys.executable, "-m", "kubeinfra", "check", "inventory.py"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"$ python -m kubeinfra check inventory.py\n{printed}```" in text(path)


@pytest.mark.parametrize("message", QUOTED)
def test_a_message_that_the_pages_quote_is_one_of_ours(message: str) -> None:
    assert message in code(), "the code says something else now"
    for language in zip(*(path.values for path in TRANSLATED), strict=True):
        assert any(message in text(path) for path in language), "no page quotes it"


@pytest.mark.parametrize("message", QUOTED_BY_COMPONENTS)
def test_a_message_that_the_pages_of_components_quote_is_one_of_ours(message: str) -> None:
    assert message in code(), "the code says something else now"
    assert any(message in text(path) for path in COMPONENT_PAGES.iterdir()), "no page quotes it"


@cache
def code() -> str:
    """All sources, with strings of more than one line joined."""
    sources = [file for folder in ("kubeinfra", "tasks", "templates") for file in (ROOT / folder).rglob("*.*")]
    return re.sub(r'"\s*f?"', "", "\n".join(text(file) for file in sources if file.suffix in (".py", ".j2")))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_page(task: str) -> None:
    page = COMPONENT_PAGES / f"{task}.md"
    assert page.exists(), f"write docs/components/{task}.md"
    assert f"tasks/{task}.py" in text(page), "it names another task"
    assert {"## Look at it", "## If it fails"} <= set(re.findall("^## .*$", text(page), re.MULTILINE))


def test_every_page_of_a_component_has_its_task() -> None:
    assert [path.stem for path in sorted(COMPONENT_PAGES.iterdir())] == TASKS


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_page_of_a_component_has_its_units_and_ports(name: str) -> None:
    page, (units, listening) = text(COMPONENT_PAGES / f"{name}.md"), COMPONENTS[name]
    assert [unit.name for unit in units if f"`{unit.name}`" not in page and f"{unit.name}.d/" not in page] == []
    assert [port.number for port in listening if not re.search(rf"\b{port.number}\b", page)] == []


@pytest.mark.parametrize("path", PAGES)
def test_no_version_of_a_release_stands_in_running_text(path: Path) -> None:
    running = CODE.sub("", GENERATED.sub("", text(path)))
    found = [version for version in versions_of_releases() if re.search(rf"(?<![\d.])v?{re.escape(version)}", running)]
    assert not found, "versions belong in kubeinfra/releases/catalogue.toml; samples of output may have them"


def test_the_picture_of_the_architecture_has_the_layers_of_import_linter() -> None:
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["kubeinfra"])
    picture = re.findall(r"^ \| ([a-z ]+)\|", text(ROOT / "docs/architecture.md"), re.MULTILINE)
    assert [line.split() for line in picture] == [re.findall(r"\w+", layer) for layer in layers]


@pytest.mark.parametrize("path", [one for one in PAGES if not str(one.id).endswith(".zh.md")])
def test_pages_use_the_words_of_kubernetes(path: Path) -> None:
    """Outside of code, which may quote what others say."""
    running = re.sub(r"`[^`\n]*`", "", CODE.sub("", text(path)))
    found = re.findall(r"\b(authorit(?:y|ies)|mistakes?|persons?|beside|anew)\b", running, re.IGNORECASE)
    assert not found, "CA, error, you or user, next to, again"
