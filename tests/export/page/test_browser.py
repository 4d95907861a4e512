"""A real browser shows a page as meant: light, dark, on paper, and with scripts switched off."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from landscape_compat.export.page import make_page
from landscape_compat.landscape.database import open_landscape
from test_legacy_generator import example

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt install chromium)")
PAPER = {"light": (255, 255, 255), "dark": (13, 17, 23)}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a page of the example database."""
    folder = tmp_path_factory.mktemp("page")
    example().build(folder / "audit.db")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_landscape(folder / "audit.db") as db:
            (folder / "page.html").write_text(make_page(db), encoding="utf-8")
    return folder / "page.html"


def browse(page: Path, *flags: str, scripts: bool = True) -> tuple[str, str]:
    """Have the browser load a page, and give what it wrote and what it complained of."""
    profile = page.parent / f"profile-{scripts}"
    (profile / "Default").mkdir(parents=True, exist_ok=True)
    if not scripts:
        # As whoever forbids scripts in the browser's settings.
        settings = {"profile": {"default_content_setting_values": {"javascript": 2}}}
        (profile / "Default" / "Preferences").write_text(json.dumps(settings))
    assert CHROMIUM
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--hide-scrollbars", "--enable-logging=stderr", "--window-size=900,1200"),
            *(f"--user-data-dir={profile}", *flags, page.as_uri()),
        ],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(console)


class Elements(HTMLParser):
    """Counts the elements of what a browser made of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Note an element."""
        self.tags.append(tag)


def test_the_browser_reads_it_without_a_complaint(written: Path) -> None:
    """The browser finds every drawing, and its policy has nothing to forbid."""
    dom, complaints = browse(written, "--dump-dom")
    tags = Elements(dom).tags
    assert complaints == ""
    assert tags.count("svg") == 3
    assert tags.count("section") == 6
    assert "script" not in tags


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_reader_prefers(written: Path, scheme: str) -> None:
    """The paper has the colour of the scheme, though the style is bound by the page's policy."""
    assert _corner(written, written.parent / f"{scheme}.png", scheme) == PAPER[scheme]


def test_it_needs_no_scripts(written: Path) -> None:
    """A browser that runs none shows the same, though one that does would obey a script."""
    probe = written.parent / "probe.html"
    probe.write_text("<!doctype html><body><script>document.body.style.background='red'</script>")
    red, white = (255, 0, 0), (255, 255, 255)
    assert _corner(probe, probe.with_suffix(".png"), "light") == red
    assert _corner(probe, probe.with_suffix(".png"), "light", scripts=False) == white
    with_, without = written.parent / "with.png", written.parent / "without.png"
    _corner(written, with_, "light")
    _corner(written, without, "light", scripts=False)
    assert without.read_bytes() == with_.read_bytes()


def test_it_prints(written: Path) -> None:
    """On paper it is a document of several pages."""
    pdf = written.parent / "page.pdf"
    browse(written, f"--print-to-pdf={pdf}")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") > 1


def _corner(page: Path, picture: Path, scheme: str, *, scripts: bool = True) -> tuple[int, ...]:
    """Take a picture of a page, and give the colour of its first point."""
    number = {"dark": 0, "light": 1}[scheme]
    flags = f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={number}"
    browse(page, *flags, scripts=scripts)
    content = picture.read_bytes()
    data, at = b"", 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IDAT":
            data += content[at + 8 : at + 8 + size]
        at += size + 12
    return tuple(zlib.decompress(data)[1:4])  # the first byte says how the row is packed
