"""Published models that may be downloaded: where they lie, and how they get here whole.

A download can be interrupted and goes on where it stopped; nothing is used whose SHA-256 is not
the one pinned here.
"""

import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from urllib.error import HTTPError

from platformdirs import user_cache_path

from drumsep import __version__
from drumsep.errors import DrumsepError
from drumsep.importing import IDM_OFFICIAL_SHA256, import_model
from drumsep.results import Progress, no_progress
from drumsep.weights import ModelCard, file_sha256

TIMEOUT = 30  # s without an answer
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
