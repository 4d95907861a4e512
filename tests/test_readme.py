"""What the README shows works as shown, and its two commands treat every machine alike."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

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


def test_scripts_exist() -> None:
    """Every script that the README starts is there."""
    scripts = re.findall(r"python3 (\S+\.py)", "".join(blocks("sh")))
    assert {"docs/examples/demo.py", "tests/run.py"} <= set(scripts)
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


def test_the_demonstration_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the failure, the warning, every record, and that nothing was changed."""
    temporary = tmp_path / "with a space"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    words = [sys.executable, str(ROOT / "docs" / "examples" / "demo.py"), "--installed"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "OperationalError: no such column: tokens.expand_group_id\n" in said
    assert re.search(r"^warning: tokens in .*: expand_group_id \(absent\)", said, re.MULTILINE)
    assert re.search(r"^(\d+) rows stored, \1 records exported$", said, re.MULTILINE)
    assert re.search(r"^sha256 (\w{64})$.*^sha256 \1, as before$", said, re.MULTILINE | re.DOTALL)
    assert "warning: tokens: not stored as declared: run_id (derived)" in done.stderr
    assert list(temporary.iterdir()) == []


def test_it_installs_where_the_readme_says_and_beside_the_host() -> None:
    """Every Python from 3.11 on, and every version that ELSPETH 0.7 may bring, is admitted."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["requires-python"] == ">=3.11"
    assert metadata["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    assert (ROOT / "src" / "landscape_compat" / "py.typed").is_file()
    wanted = {one.name: one for one in map(Requirement, metadata["dependencies"])}
    assert str(wanted["sqlalchemy"].specifier) == str(SpecifierSet(">=2.0,<3"))
    assert wanted.keys() == {"sqlalchemy", "wrapt", "structlog", "rfc8785"}
    for name, versions in (("structlog", ("25.5.0", "25.9.9")), ("rfc8785", ("0.1.4", "0.1.9"))):
        assert [*wanted[name].specifier.filter(versions)] == [*versions]


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

    def test_one_is_used_again_until_what_it_is_made_from_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a path with a space, without a network where pip needs none."""
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        folder = tmp_path / "with a space" / "env"
        python = venvs.environment(folder, ["pip"], made_from="a")
        subprocess.run([python, "-c", "import pip"], check=True)
        (folder / "kept").touch()
        assert venvs.environment(folder, ["pip"], made_from="a") == python
        assert (folder / "kept").exists()
        with pytest.raises(venvs.VenvError):
            venvs.environment(folder, ["pip"], made_from="b", python=str(tmp_path / "none"))
        assert not folder.exists()

    def test_the_lowest_and_the_newest_versions_are_tested(self) -> None:
        """Each Python meets one series, each series a Python; in pairs, each meets each."""
        pythons = {(3, 11): "old", (3, 12): "middle", (3, 13): "new"}
        once = [("old", "lowest"), ("middle", "2.0"), ("new", "2.1")]
        assert list(runner._matrix(pythons)) == once
        assert list(runner._matrix({(3, 12): "only"})) == [("only", "lowest"), ("only", "2.1")]
        pairs = list(runner._matrix(pythons, pairs=True))
        assert len(pairs) == len(set(pairs)) == 9
        assert set(once) < set(pairs)

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

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("def test_it(): pass", ""),
            ("def test_it(): assert 0", "pytest ended with 1"),
            ("import none_such", "pytest ended with 2"),
            ("def it(): pass", "pytest ended with 5"),
            ("import pytest; pytest.skip(allow_module_level=True)", "pytest ended with 5"),
            ("import pytest\ndef test_it(): pytest.skip()", "no test ran"),
            ("import os\ndef test_it(): os._exit(0)", "pytest ended with 0"),
        ],
    )
    def test_an_environment_passes_only_if_its_tests_ran_and_passed(
        self, tmp_path: Path, content: str, fault: str
    ) -> None:
        """Not if there were none, if all were passed over, or if pytest died."""
        (tmp_path / "test_it.py").write_text(content)
        (tmp_path / "pytest.ini").write_text("[pytest]")
        report = tmp_path / "junit.xml"
        options = [f"--junitxml={report}", f"--config-file={tmp_path / 'pytest.ini'}"]
        options += ["-p", "no:cacheprovider", str(tmp_path)]
        done = runner._run([sys.executable, "-m", "pytest", *options])
        outcome = runner._outcome("one", done, report)
        assert outcome.fault == fault, outcome.output
        assert outcome.passed == (not fault)
        assert runner._report([outcome], []) == bool(fault)

    def test_what_hangs_is_ended_and_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By a signal at which pytest says where it hangs."""
        monkeypatch.setattr(runner, "LONGEST", 1)
        done = runner._run([sys.executable, "-c", "import time; time.sleep(600)"])
        assert done.stdout.endswith("Not done after 1 s, it was ended.")
        assert runner._outcome("one", done, tmp_path / "none").fault == "pytest ended with -6"

    def test_an_environment_that_cannot_be_made_fails(self, tmp_path: Path) -> None:
        """It is told in the place of its tests."""
        outcome = runner._test(tmp_path, str(tmp_path / "none"), "2.1", [])
        assert outcome.fault == "no environment"
        assert "cannot make a virtual environment" in outcome.output
