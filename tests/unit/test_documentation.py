"""What the pages say that can be compared with the code: tables, samples, messages, paths."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_releases import versions_of_releases

from docs.generate import ROOT, meanings, pages, settings_table, translations, updated
from kubeinfra.cluster.settings import Settings

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
    "docker_version may be the beginning of one of:",
    "last answer:",
    "the pods of the traffic check do not become ready:",
    "does not reach",
    "a second CA would cut it off",
    "has changed since it started",
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
    sources = [file for folder in ("kubeinfra", "tasks", "templates") for file in (ROOT / folder).rglob("*.*")]
    code = "\n".join(text(file) for file in sources if file.suffix in (".py", ".j2"))
    assert message in re.sub(r'"\s*f?"', "", code), "the code says something else now"
    for language in zip(*(path.values for path in TRANSLATED), strict=True):
        assert any(message in text(path) for path in language), "no page quotes it"


@pytest.mark.parametrize("path", PAGES)
def test_no_version_of_a_release_stands_in_running_text(path: Path) -> None:
    running = CODE.sub("", GENERATED.sub("", text(path)))
    found = [version for version in versions_of_releases() if re.search(rf"(?<![\d.])v?{re.escape(version)}", running)]
    assert not found, "versions belong in kubeinfra/releases/catalogue.toml; samples of output may have them"
