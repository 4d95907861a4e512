"""What is on its way elsewhere lies in a folder of its own; an error tells where none can be."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.dataset.target import target_of
from landscape_compat.export.output.private import private_folder


def test_it_is_its_owners_alone_and_goes() -> None:
    with private_folder() as folder:
        (folder / "a").write_bytes(b"content")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_where_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="where temporary files go cannot be written"):
        private_folder().__enter__()


def test_a_target_elsewhere_is_told_of_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain OSError named a folder that nobody had asked for."""
    pytest.importorskip("fsspec")
    target = target_of("memory://private", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="where temporary files go cannot be written"):
        target.staging().__enter__()
