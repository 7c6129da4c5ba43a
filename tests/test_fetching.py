"""Downloads against a server in this process: resumed, verified, and never left half done."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from drumsep import fetching
from drumsep.errors import DrumsepError
from drumsep.fetching import PUBLISHED, Published, download, fetch
from drumsep.importing import IDM_OFFICIAL_SHA256

DATA = bytes(range(256)) * 1024  # several blocks
HALF = len(DATA) // 2
SHA256 = hashlib.sha256(DATA).hexdigest()


@dataclass
class Web:
    """What the server does, and what it was asked."""

    data: bytes = DATA
    ranges: bool = True
    cut: int | None = None  # bytes of an answer after which the connection ends
    asked: list[str | None] = field(default_factory=list)  # Range of each request
    url: str = ""

    @property
    def published(self) -> Published:
        return Published(f"{self.url}/my%20model.ckpt", len(DATA), SHA256)


class Handler(http.server.BaseHTTPRequestHandler):
    web: Web

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.web.asked.append(wanted)
        if self.path != "/my%20model.ckpt":
            self.send_error(404)
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.web.ranges else 0
        if first >= len(self.web.data):
            self.send_error(416)
            return
        body = self.web.data[first:]
        self.send_response(206 if first else 200)
        if first:
            size = len(self.web.data)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.web.cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    found = Web()
    handler = type("WebHandler", (Handler,), {"web": found})
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def got(web: Web, folder: Path) -> bytes:
    """What a download that succeeds leaves in its folder: one file."""
    file = download(web.published, folder, lambda _: None)
    assert list(folder.iterdir()) == [file] and file.name == "my model.ckpt"
    return file.read_bytes()


def refusal(published: Published, folder: Path) -> str:
    with pytest.raises(DrumsepError) as caught:
        download(published, folder, lambda _: None)
    message = str(caught.value)
    assert message.startswith(published.url) and "\n" not in message
    assert not (folder / "my model.ckpt").exists()
    return message


def left(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    part = folder / "my model.ckpt.part"
    part.write_bytes(data)
    return part


def test_a_file_arrives_whole_and_says_how_far_it_is(web: Web, tmp_path: Path) -> None:
    heard: list[float] = []
    file = download(web.published, tmp_path / "new" / "folder", heard.append)
    assert file.read_bytes() == DATA
    assert heard == sorted(heard) and len(heard) > 2 and heard[-1] == 1


def test_a_download_that_was_cut_off_goes_on(web: Web, tmp_path: Path) -> None:
    web.cut = HALF
    message = refusal(web.published, tmp_path)
    assert f"ended after {HALF} of {len(DATA)} bytes; the same command goes on" in message
    web.cut = None
    assert got(web, tmp_path) == DATA
    assert web.asked == [None, f"bytes={HALF}-"]


def test_a_server_without_ranges_starts_over(web: Web, tmp_path: Path) -> None:
    left(tmp_path, DATA[:HALF])
    web.ranges = False
    assert got(web, tmp_path) == DATA


def test_a_part_that_is_whole_needs_no_connection(web: Web, tmp_path: Path) -> None:
    left(tmp_path, DATA)
    assert got(web, tmp_path) == DATA
    assert web.asked == []


@pytest.mark.parametrize(
    "part", [b"x" * HALF, b"x" * len(DATA), DATA + b"x", b""], ids=["half", "same", "long", "empty"]
)
def test_a_bad_part_is_discarded(web: Web, tmp_path: Path, part: bytes) -> None:
    left(tmp_path, part)
    assert got(web, tmp_path) == DATA
    assert web.asked[-1] is None


@pytest.mark.parametrize("data", [b"x" * len(DATA), DATA + b"more"], ids=["same size", "longer"])
def test_another_file_is_discarded(web: Web, tmp_path: Path, data: bytes) -> None:
    web.data = data
    assert "discarded, its SHA-256" in refusal(web.published, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_shorter_file_on_the_server_is_never_taken(web: Web, tmp_path: Path) -> None:
    web.data = DATA[:HALF]
    for _ in range(2):  # the second time the server has nothing from there on
        assert "ended after" in refusal(web.published, tmp_path)
    assert web.asked == [None, f"bytes={HALF}-", None]


def test_no_file_and_no_connection_are_one_line(web: Web, tmp_path: Path) -> None:
    absent = Published(f"{web.url}/absent", len(DATA), SHA256)
    assert "cannot be fetched: HTTP Error 404" in refusal(absent, tmp_path)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    nobody = Published(f"http://127.0.0.1:{port}/x", len(DATA), SHA256)
    message = refusal(nobody, tmp_path)
    assert "refused" in message and "drumsep models import" in message


def test_a_folder_that_cannot_be_made_is_one_line(web: Web, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be fetched" in refusal(web.published, tmp_path / "file" / "folder")


@pytest.fixture
def registry(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One published model on the server; importing it only looks at it. Returns the cache."""
    monkeypatch.setattr(fetching, "PUBLISHED", {"toy": web.published})
    monkeypatch.setattr(fetching, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(fetching, "installed", tuple)
    return tmp_path / "cache" / "downloads"


def test_fetching_imports_and_leaves_no_download(
    web: Web, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    model = tmp_path / "model.safetensors"
    model.write_bytes(DATA)

    def look(path: Path, name: str) -> SimpleNamespace:
        assert path.read_bytes() == DATA
        return SimpleNamespace(name=name, path=model, sha256=SHA256, notes=f"from {SHA256}")

    monkeypatch.setattr(fetching, "import_model", look)
    card = fetch("toy", lambda stage, _: stages.append(stage))
    assert card.name == "toy" and set(stages) == {"downloading"}
    assert not list(registry.iterdir())

    monkeypatch.setattr(fetching, "installed", lambda: (card,))
    fetch("toy")
    assert len(web.asked) == 1  # kept: it is whole
    model.write_bytes(b"damaged")
    fetch("toy")
    assert len(web.asked) == 2


def test_a_failed_import_leaves_no_download(registry: Path) -> None:
    with pytest.raises(DrumsepError, match=r"my model\.ckpt: damaged, or not a zip file"):
        fetch("toy")
    assert not list(registry.iterdir())


def test_unknown_names_are_answered_with_the_known() -> None:
    with pytest.raises(DrumsepError, match="'larsnet' cannot be fetched; known are: idm-official"):
        fetch("larsnet")


@pytest.mark.reference
def test_the_registry_describes_the_published_file(reference: Path) -> None:
    published = PUBLISHED["idm-official"]
    data = (reference / "idm" / "val-epoch=518-global_step=0.ckpt").read_bytes()
    assert len(data) == published.size
    assert hashlib.sha256(data).hexdigest() == published.sha256 == IDM_OFFICIAL_SHA256
