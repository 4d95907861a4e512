"""What the README shows works as shown, and its two commands treat every machine alike."""

from __future__ import annotations

import importlib.metadata
import re
import warnings
from pathlib import Path

import pytest

import run as runner
from support import venvs
from support.commands import running
from support.untouched import untouched
from test_legacy_generator import example

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(README) if kind == language]


def shown() -> list[tuple[str, str]]:
    """Pair each block of Python with the block of text behind it."""
    found = BLOCK.findall(README)
    return [
        (text, found[at + 1][1] if found[at + 1][0] == "text" else "")
        for at, (kind, text) in enumerate(found)
        if kind == "python"
    ]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the example database where a reader of the README would have it."""
    folder = tmp_path / "record"
    folder.mkdir()
    example().build(folder / "audit.db")
    monkeypatch.chdir(folder)
    return folder / "audit.db"


@pytest.mark.parametrize(("code", "output"), shown(), ids=range(len(shown())))
def test_python_prints_what_the_readme_says(
    code: str, output: str, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block of Python runs by itself and prints the text behind it."""
    assert output
    with untouched(database), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == output


def test_commands_end_well(
    database: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each command of the README succeeds, and says something on standard output."""
    commands = [
        line.removeprefix("$ landscape-compat ").split()
        for block in blocks("console")
        for line in block.splitlines()
    ]
    assert {words[0] for words in commands} == {"inspect", "doctor", "export", "verify", "versions"}
    # What the commands write lies elsewhere, so that the database's own folder can be watched.
    monkeypatch.chdir(tmp_path)
    with untouched(database), running(capsys) as run:
        for words in commands:
            outcome = run(*(database if word == "audit.db" else word for word in words))
            assert (outcome.code, bool(outcome.out)) == (0, True), outcome.err
    assert (tmp_path / "export" / "data" / "records.jsonl").exists()
    assert (tmp_path / "export" / "metadata" / "export.intoto.json").exists()
    assert (tmp_path / "tables" / "data" / "token.csv").exists()


def test_scripts_and_links_exist() -> None:
    """Every script that the README starts, and every file that it links to, is there."""
    scripts = re.findall(r"python3 (\S+\.py)", "".join(blocks("sh")))
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert {"docs/examples/demo.py", "tests/run.py"} <= set(scripts)
    assert links
    assert [name for name in [*scripts, *links] if not (ROOT / name).is_file()] == []


def test_the_ci_script_runs_the_tests_as_the_readme_does() -> None:
    """What CI runs is the README's test command, with nothing but the other checks added."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 tests/run.py" in blocks("sh")[1]
    assert re.search(r"^exec python3 tests/run\.py --lint\b", script, re.MULTILINE)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


class TestEnvironments:
    """The two commands install into environments of their own, as the machine is set up for."""

    def test_a_child_is_told_how_to_reach_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Proxies and indexes go on to pip; another Python's modules do not."""
        for name in ("HTTPS_PROXY", "no_proxy", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PYTHONPATH"):
            monkeypatch.setenv(name, "set")
        inherited = venvs.child_environment()
        assert {name for name, value in inherited.items() if value == "set"} == {
            "HTTPS_PROXY",
            "no_proxy",
            "PIP_INDEX_URL",
            "PIP_FIND_LINKS",
        }

    def test_a_checkout_that_cannot_be_written_to_gets_a_passing_folder(
        self, tmp_path: Path
    ) -> None:
        """Where .cache cannot be made, environments go elsewhere and are gone afterwards."""
        (tmp_path / ".cache").write_text("in the way")
        with venvs.cache_folder(tmp_path) as folder:
            assert folder.is_dir()
            assert tmp_path not in folder.parents
        assert not folder.exists()

    def test_a_python_that_cannot_is_named_with_what_to_install(self, tmp_path: Path) -> None:
        """An interpreter that makes no environment ends in advice, and leaves nothing half made."""
        with pytest.raises(venvs.VenvError, match="apt install python3-venv"):
            venvs.environment(tmp_path / "env", [], made_from="", python=str(tmp_path / "none"))
        assert not (tmp_path / "env").exists()

    def test_the_lowest_and_the_newest_versions_are_tested(self) -> None:
        """Every Python meets the newest SQLAlchemy; those at the ends an older one as well."""
        pythons = {(3, 11): "old", (3, 12): "middle", (3, 13): "new"}
        assert list(runner._matrix(pythons)) == [
            ("old", "lowest"),
            ("old", "2.1"),
            ("middle", "2.1"),
            ("new", "2.0"),
            ("new", "2.1"),
        ]
        assert list(runner._matrix({(3, 12): "only"})) == [("only", "lowest"), ("only", "2.1")]

    def test_the_lowest_versions_are_those_of_the_metadata(self) -> None:
        """Each dependency has a lower bound, and that is what the lowest environment gets."""
        wanted = importlib.metadata.requires("landscape-compat") or []
        names = {re.split(r"[<>=;\[ ]", text)[0] for text in wanted if "extra ==" not in text}
        lowest = dict(text.split("==") for text in runner._versions("lowest"))
        assert lowest.keys() == names
        assert runner._versions("2.0") == ["sqlalchemy>=2.0,<2.1"]

    def test_the_last_line_sums_up_and_the_exit_code_agrees(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What could not run counts as failed, so that no total looks better than it is."""
        good = runner.Outcome("one", passed=3, skipped=1)
        bad = runner.Outcome("two", passed=2, failed=2, fault="pytest ended with 1")
        broken = runner.Outcome("three", fault="no environment")
        assert runner._report([good, good], []) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "6 passed, 0 failed, 2 skipped"
        assert runner._report([good, bad, broken], [runner.Outcome("lint", fault="ended with 1")])
        assert capsys.readouterr().out.splitlines()[-1] == "5 passed, 4 failed, 1 skipped"
