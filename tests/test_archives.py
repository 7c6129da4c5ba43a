"""Zip files from strangers: every trick that a zip can play ends in one line, before reading."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from drumsep import archives
from drumsep.archives import extract, open_archive
from drumsep.errors import DrumsepError


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DrumsepError) as caught, open_archive(path) as archive:
        for name in archive.namelist():
            archive.read(name)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


def test_a_harmless_archive_is_read_and_extracted(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"kick/x.pth": b"abc", "notes..txt": b"", "kick/": b""})
    with open_archive(path) as archive:
        extract(archive, "kick/x.pth", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "..\\evil", "\\\\host\\evil", ".."]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert "leads out" in refusal(zipped(tmp_path / "a.zip", {"fine": b"", name: b"x"}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("kick")
    member.external_attr = (kind | 0o777) << 16
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    assert "link or a device" in refusal(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"bomb": bytes(4 << 20)})
    assert path.stat().st_size < 10_000
    assert "unpacks to more than 50 times" in refusal(path)


def test_the_sum_of_sizes_and_the_number_of_members_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", {str(n): bytes(100) for n in range(10)})
    monkeypatch.setattr(archives, "MAX_UNPACKED", 999)
    assert "unpacks to 1000 bytes" in refusal(path)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 9)
    assert "10 members" in refusal(path)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x": bytes(range(256)) * 8})
    told = (2048).to_bytes(4, "little")
    data = path.read_bytes()
    assert data.count(told) == 2
    path.write_bytes(data.replace(told, (16).to_bytes(4, "little")))
    assert "damaged" in refusal(path)


def test_encrypted_and_unusually_packed_members_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x": b"abc"}, zipfile.ZIP_BZIP2)
    assert "unusual method" in refusal(path)
    data = bytearray(zipped(tmp_path / "b.zip", {"x": b"abc"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the list of members
    (tmp_path / "b.zip").write_bytes(data)
    assert "encrypted" in refusal(tmp_path / "b.zip")


@pytest.mark.parametrize("size", [0, 1, 30, 100])
def test_what_is_empty_or_cut_off_is_refused(tmp_path: Path, size: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", bytes(64))
    path = tmp_path / "a.zip"
    path.write_bytes(buffer.getvalue()[:size])
    assert "damaged, or not a zip file" in refusal(path)


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archives, "ZipFile", deny)
    assert refusal(tmp_path / "a.zip").endswith("Permission denied")
