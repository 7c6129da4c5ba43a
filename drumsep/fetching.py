"""Published models that may be downloaded: where they lie, and how they get here whole.

A download can be interrupted and goes on where it stopped; nothing is used whose SHA-256 is not
the one pinned here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from types import MappingProxyType
from urllib.error import HTTPError
from urllib.parse import unquote
from urllib.request import Request, urlopen

from platformdirs import user_cache_path

from drumsep import __version__
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.importing import IDM_OFFICIAL_SHA256, import_model
from drumsep.results import Progress, no_progress
from drumsep.weights import ModelCard, installed

TIMEOUT = 30  # s without a byte
BLOCK = 1 << 16  # bytes read at a time

NOT_SATISFIABLE = 416  # HTTP status: the range asked for is not there


@dataclass(frozen=True)
class Published:
    """One file on the web that `importing` understands."""

    url: str
    size: int  # bytes
    sha256: str


# The commit is the one the reference implementation was read at, 4566568.
PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "idm-official": Published(
            "https://raw.githubusercontent.com/bernardo-torres/inverse-drum-machine/"
            "456656868538205ef756912c7cf5b0fd936de8af/pretrained/idm-44-train-kits/checkpoints/"
            "val-epoch%3D518-global_step%3D0.ckpt",
            2_544_694,
            IDM_OFFICIAL_SHA256,
        )
    }
)


def fetch(name: str, progress: Progress = no_progress) -> ModelCard:
    """Download a published model and import it; one that is installed and whole is kept.

    Raises:
        DrumsepError: unknown name, no connection, not the published file, or as `import_model`.
    """
    published = PUBLISHED.get(name)
    if published is None:
        raise DrumsepError(f"{name!r} cannot be fetched; known are: {', '.join(PUBLISHED)}")
    for card in installed():
        if card.name == name and _is_intact(card, published):
            return card
    folder = user_cache_path("drumsep", appauthor=False) / "downloads"
    file = download(published, folder, lambda fraction: progress("downloading", fraction))
    try:
        return import_model(file, name)
    finally:
        file.unlink(missing_ok=True)


def download(published: Published, folder: Path, report: Callable[[float], None]) -> Path:
    """Download a file into a folder, going on with NAME.part if an earlier try left one.

    Args:
        published: what to download.
        folder: made if need be.
        report: called with the fraction that is here, in [0, 1].

    Raises:
        DrumsepError: no connection, it ended early, or this is not the published file.
    """
    file = folder / Path(unquote(published.url)).name
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        resumed = part.exists()
        _receive(published, part, report)
        if resumed and file_sha256(part) != published.sha256:
            part.unlink()  # what the earlier try left was bad
            _receive(published, part, report)
        if file_sha256(part) != published.sha256:
            part.unlink()
            raise DrumsepError(
                f"{published.url}: discarded, its SHA-256 is not that of the published file"
            )
        return part.replace(file)
    except (OSError, HTTPException) as error:
        cause = str(error) if isinstance(error, HTTPError) else getattr(error, "reason", error)
        raise DrumsepError(
            f"{published.url}: cannot be fetched: {cause}; a copy from elsewhere can be installed "
            "with 'drumsep models import'"
        ) from error


def _is_intact(card: ModelCard, published: Published) -> bool:
    return published.sha256 in card.notes and file_sha256(card.path) == card.sha256


def _receive(published: Published, part: Path, report: Callable[[float], None]) -> None:
    """Append what is missing to `part`, or write it anew where the server cannot go on."""
    here = part.stat().st_size if part.exists() else 0
    if here >= published.size:
        return
    with _answer(published.url, here) as answer:
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {here}-")
        with part.open("ab" if goes_on else "wb") as file:
            # One byte more than expected is enough to tell that it is another file.
            while file.tell() <= published.size and (block := answer.read(BLOCK)):
                file.write(block)
                report(min(file.tell() / published.size, 1.0))
            here = file.tell()
    if here < published.size:
        raise DrumsepError(
            f"{published.url}: the connection ended after {here} of {published.size} bytes; "
            "the same command goes on from there"
        )


def _answer(url: str, first: int) -> HTTPResponse:
    """Ask for a file from byte `first` on; from its start where that byte is said not to exist."""
    headers = {"User-Agent": f"drumsep/{__version__}"}
    if first > 0:
        headers["Range"] = f"bytes={first}-"
    try:
        answer: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code != NOT_SATISFIABLE or first == 0:
            raise
        return _answer(url, 0)
    return answer
