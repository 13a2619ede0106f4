"""The page of a run in a real browser: headless Chromium, from the disk, as somebody opens it."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from record_samples import STARTED, large, record
from rich.console import Console

from kubeinfra.reports.page import page
from lab.console import Phase
from lab.engine import can_install_packages, install_packages

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the browser
SIZE = (1280, 1600)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
# Where everything is on the screen, as JSON in an element of its own at the end of the document.
MEASURE = """
<script>
const box = (one) => { const r = one.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const all = (what, root = document) => [...root.querySelectorAll(what)];
const result = document.createElement("pre");
result.id = "measured";
result.textContent = JSON.stringify({
  timeline: all("svg.timeline").map(box),
  topology: all("svg.topology").map(box),
  bars: all("svg.timeline .bar").map(box),
  labels: all("svg.timeline .row > text").map(box),
  bands: all(".band").filter((one) => one.querySelector("text"))
    .map((one) => [box(one.querySelector("text")), box(one.querySelector("rect"))]),
  cards: all(".card").map((one) => [box(one.querySelector("rect")), ...all("text", one).map(box)]),
  lanes: all(".lane").map((one) => [box(one.querySelector("rect")), ...all("rect, text", one).map(box)]),
  overflow: document.documentElement.scrollWidth - window.innerWidth,
});
document.body.append(result);
</script>
"""
Box = list[float]


@dataclass(frozen=True)
class Seen:
    """+ says: what its console says, such as a style or a resource that it has refused"""

    output: str
    says: list[str]


@dataclass(frozen=True)
class Browser:
    chromium: str
    directory: Path

    def open(self, html: str, *what: str) -> Seen:
        file = self.directory / "page.html"
        file.write_text(html)
        window = f"--window-size={SIZE[0]},{SIZE[1]}"
        ran = subprocess.run(
            [self.chromium, *OPTIONS, window, f"--user-data-dir={self.directory}", *what, file.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return Seen(ran.stdout, re.findall(r"^.*CONSOLE.*$", ran.stderr, flags=re.MULTILINE))

    def measured(self, html: str) -> Any:
        """Boxes on the screen: left, top, right, bottom. The page's own policy allows no script, so it goes away."""
        open_page = re.sub(r"<meta http-equiv=.*\n", "", html).replace("</body>", f"{MEASURE}</body>")
        found = re.search(r'<pre id="measured">(.*?)</pre>', self.open(open_page, "--dump-dom").output, flags=re.DOTALL)
        assert found, "the script has not run"
        return json.loads(unescape(found[1]))

    def picture(self, html: str, *options: str) -> tuple[bytes, list[str]]:
        """As PNG, and what the console says."""
        file = self.directory / "page.png"
        seen = self.open(html, f"--screenshot={file}", *options)
        return file.read_bytes(), seen.says


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Installed from the distribution if this user may; otherwise the test is skipped with the reason."""
    if not shutil.which("chromium") and can_install_packages():
        install_packages(Phase(Console(stderr=True), "chromium"), "chromium")
    found = shutil.which("chromium")
    if not found:
        pytest.skip("there is no chromium, and only root on Debian can install it here: apt-get install chromium")
    return Browser(found, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    now = STARTED + timedelta(hours=1)
    return {"six": page(record(), now), "many": page(large(), now)}


def inside(inner: Box, outer: Box, slack: float = 1.0) -> bool:
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def share_of_ink(png: bytes) -> float:
    """How much of a picture is other than what is left of it or above it: nothing of a blank one."""
    width, height = struct.unpack(">II", png[16:24])
    data, position = b"", 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += length + 12
    differences = zlib.decompress(data)  # PNG's filters keep the difference to a neighbour
    assert (width, height) == SIZE
    return 1 - differences.count(0) / len(differences)


def test_a_blank_page_and_an_error_would_be_seen(browser: Browser) -> None:
    blank, _ = browser.picture("<!doctype html><title>blank</title>")
    assert share_of_ink(blank) < 0.001
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    assert len(browser.open(f"<!doctype html>{policy}<img src=x.png>", "--dump-dom").says) == 1


@pytest.mark.parametrize(("name", "dark"), [("six", 0), ("six", 1), ("many", 0)])
def test_it_is_shown_and_the_console_says_nothing(
    browser: Browser, pages: dict[str, str], name: str, dark: int
) -> None:
    shown, says = browser.picture(pages[name], f"--blink-settings=preferredColorScheme={1 - dark}")
    assert says == []
    assert share_of_ink(shown) > 0.02


@pytest.mark.parametrize("name", ["six", "many"])
def test_everything_is_where_it_belongs(browser: Browser, pages: dict[str, str], name: str) -> None:
    found = browser.measured(pages[name])
    (timeline,) = found["timeline"]
    assert len(found["bars"]) > 50
    assert not [bar for bar in found["bars"] if not inside(bar, timeline) or bar[2] <= bar[0]]
    first = min(bar[0] for bar in found["bars"])
    assert not [label for label in found["labels"] if label[2] > first], "labels end before the bars begin"
    assert not [(text, band) for text, band in found["bands"] if text[2] > band[2] + 1], "names fit their bands"
    for frame, *texts in found["cards"]:
        assert not [text for text in texts if text[2] > text[0] and not inside(text, frame)], "text fits its card"
    for frame, *parts in found["lanes"]:
        assert not [part for part in parts if part[2] > part[0] and not inside(part, frame)], "cards are in their lane"
    assert all(inside(lane[0], found["topology"][0]) for lane in found["lanes"])
    assert found["overflow"] <= 0, "no scrolling sideways"
