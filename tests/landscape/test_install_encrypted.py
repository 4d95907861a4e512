"""A host with the shim in it reads by its passphrase what another version encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landscape_compat import install
from landscape_compat.errors import LandscapeCompatError
from support.host_eras import ERAS
from support.hosts import NEW, OLD, Place, build_record, url_of
from support.untouched import untouched

cipher = pytest.importorskip(
    "sqlcipher3.dbapi2",
    reason="NOT READ ENCRYPTED: sqlcipher3 is not installed (pip install 'landscape-compat[test]')",
)
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
SECRET = "x'" + "0123abcd" * 8 + "'"
TAKES_ONE = [name for name, era in ERAS.items() if era.passphrase]


def encrypted(path: Path) -> Path:
    """Encrypt a database, in its own place."""
    plain = path.rename(path.with_name("plain.db"))
    connection = cipher.connect(plain, isolation_level=None)
    connection.execute("ATTACH ? AS locked KEY ?", (str(path), SECRET))
    connection.execute("SELECT sqlcipher_export('locked')").fetchall()
    connection.execute("DETACH locked")
    connection.close()
    plain.unlink()
    return path


def opened(host: Any, path: Path, **given: Any) -> Any:
    return host.db.from_url(url_of(path), create_tables=False, passphrase=SECRET, **given)


@pytest.mark.parametrize("era", TAKES_ONE)
def test_it_is_read_by_its_passphrase(place: Place, tmp_path: Path, era: str) -> None:
    """An older and a newer one, by every era that takes a passphrase, without a trace."""
    host = place(era)
    install()
    for number, shape in enumerate((OLD, NEW) if era != "newest" else (OLD,)):
        written = build_record(tmp_path / f"record{number}", shape)
        path = encrypted(written.path)
        with untouched(path):
            db = opened(host, path)
            keys = {row["token_id"] for row in written.tables["tokens"].dicts()}
            assert {row["token_id"] for row in host.read(db)} == keys
            assert keys
            assert db._passphrase == SECRET
            db.close()
    assert host.writes == []


def test_a_wrong_passphrase_and_one_too_many_are_the_hosts_to_refuse(
    place: Place, tmp_path: Path
) -> None:
    """As is a passphrase for what is not encrypted: nothing of it is looked at by us."""
    written = build_record(tmp_path / "record", OLD)
    host = place("newest")
    install()
    with untouched(written.path), pytest.raises(ImportError, match="sqlcipher3"):
        opened(host, written.path)
    path = encrypted(written.path)
    for wrong in ("wrong", ""):
        with untouched(path), pytest.raises(ImportError, match="sqlcipher3"):
            host.db.from_url(url_of(path), create_tables=False, passphrase=wrong)


@pytest.mark.parametrize("posture", ["degrade", "refuse", "migrate"])
def test_writing_to_it_is_refused(place: Place, tmp_path: Path, posture: Any) -> None:
    """Whatever the posture: what is encrypted is not brought forward."""
    path = encrypted(build_record(tmp_path / "record", OLD).path)
    host = place("newest")
    install(posture=posture)
    with untouched(path), pytest.raises(LandscapeCompatError) as caught:
        host.db.from_url(url_of(path), passphrase=SECRET)
    assert SECRET not in str(caught.value)
    assert host.writes == []
