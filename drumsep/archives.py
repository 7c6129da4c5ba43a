"""Zip archives from strangers: nothing is read before the whole list of members is checked.

Refused are names that lead out of the archive, links, encrypted members, and sizes that no set of
weights has (zip bombs). Members are read in blocks, never beyond the size they declare.
"""

import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from drumsep.errors import DrumsepError

MAX_MEMBERS = 10_000  # the published checkpoints hold a few hundred
MAX_UNPACKED = 2 << 30  # bytes in all; the largest published archive unpacks to 590 MB
MAX_RATIO = 50  # unpacked over packed bytes; weights with blank optimiser moments reach 3
RATIO_FROM = 1 << 20  # bytes; small members may pack better than that and do no harm


@contextmanager
def open_archive(path: Path) -> Iterator[ZipFile]:
    """Open a zip whose members are all harmless by name, kind and size.

    A `ValueError` raised while the archive is open is reported as a fault of the file.

    Raises:
        DrumsepError: no zip, damaged, unreadable, or with a member that is refused.
    """
    try:
        with ZipFile(path) as archive:
            _check(archive.infolist())
            yield archive
    except (BadZipFile, EOFError, zlib.error) as error:
        raise DrumsepError(f"{path}: damaged, or not a zip file: {error}") from error
    except (ValueError, NotImplementedError) as error:
        raise DrumsepError(f"{path}: refused: {error}") from error
    except OSError as error:
        raise DrumsepError(f"{path}: {error.strerror or error}") from error


def extract(archive: ZipFile, member: str, target: Path) -> None:
    """Copy one member to the file `target`, in blocks."""
    with archive.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def _check(members: list[ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{len(members)} members, at most {MAX_MEMBERS} are allowed")
    for member in members:
        reason = _fault(member)
        if reason:
            raise ValueError(f"member {member.orig_filename!r} {reason}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED:
        raise ValueError(f"unpacks to {unpacked} bytes, at most {MAX_UNPACKED} are allowed")


def _fault(member: ZipInfo) -> str | None:
    """What is wrong with a member; None for a harmless one."""
    if _climbs(member.orig_filename):
        return "has a path that leads out of the archive"
    kind = stat.S_IFMT(member.external_attr >> 16)  # Unix mode; 0 where the writer gave none
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "is packed by an unusual method"
    if member.file_size > max(RATIO_FROM, MAX_RATIO * member.compress_size):
        return f"unpacks to more than {MAX_RATIO} times its size"
    return None


def _climbs(name: str) -> bool:
    """Whether a member name is absolute, has a drive or goes up, by Unix or Windows rules."""
    windows = PureWindowsPath(name)
    rooted = PurePosixPath(name).is_absolute() or bool(windows.anchor)
    return rooted or ".." in windows.parts or "\0" in name
