"""Files of data sets that are not in the package: downloaded once, then kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from sklearn.datasets import get_data_home

from skmeta._version import __version__

PATH_CONSTRAINTS: dict[str, list[Any]] = {
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
}
_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without an answer


class RemoteFile(NamedTuple):
    """A file, where it is downloaded from, and what is checked.

    Parameters
    ----------
    name : str
        Name of the file in the cache folder.
    url : str
        Where the file is downloaded from.
    sha256 : str or None
        SHA-256 checksum, in hexadecimal digits. None: no checksum is known, and who
        reads the file must check its content.
    parameter : str, default='path'
        The parameter of the fetching function that takes a copy, for messages.
    """

    name: str
    url: str
    sha256: str | None
    parameter: str = "path"


def fetch_file(
    remote: RemoteFile,
    *,
    data_home: Any = None,
    download_if_missing: bool = True,
    path: Any = None,
) -> Path:
    """Return the path of a file with the expected checksum.

    A file that is in the cache folder is never downloaded again. A download is moved to
    its place when it is complete and its checksum is right.

    Parameters
    ----------
    remote : RemoteFile
    data_home : path-like, default=None
        Folder of all data sets, as in :func:`sklearn.datasets.get_data_home`; files are
        kept in its subfolder `skmeta`.
    download_if_missing : bool, default=True
        If False, a missing file is an error.
    path : path-like, default=None
        A copy of the file. It is used where it is, and nothing is downloaded.

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.
    ValueError
        If the checksum of the file is another one.
    """
    if path is not None:
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        _check_copy(path, remote)
        return path
    path = cache_folder(data_home) / remote.name
    if path.is_file():
        _check_copy(path, remote)
    elif download_if_missing:
        _download(remote, path)
    else:
        raise FileNotFoundError(
            f"{path} is missing, and download_if_missing=False. "
            f"{_by_hand(remote, path)}"
        )
    return path


def cache_folder(data_home: Any = None) -> Path:
    """The folder of downloaded files; it is made if it is missing."""
    folder = Path(get_data_home(data_home)) / "skmeta"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _by_hand(remote: RemoteFile, path: Path) -> str:
    return (
        f"Download {remote.url} and save it as {path}, or pass the path of a copy as "
        f"`{remote.parameter}`."
    )


def _check_copy(path: Path, remote: RemoteFile) -> None:
    if remote.sha256 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != remote.sha256:
        raise ValueError(
            f"{path} is not the expected file {remote.name}: its SHA-256 checksum is "
            f"{found}, expected {remote.sha256}. Delete it to download it again from "
            f"{remote.url}."
        )


def _download(remote: RemoteFile, path: Path) -> None:
    with TemporaryDirectory(dir=path.parent, prefix="download-") as folder:
        part = Path(folder) / remote.name
        try:
            checksum = _copy(remote.url, part)
        except OSError as error:
            raise OSError(
                f"{remote.url} could not be downloaded: {error}. "
                f"{_by_hand(remote, path)}"
            ) from error
        if remote.sha256 not in (None, checksum):
            raise ValueError(
                f"{remote.url} is no longer the expected file: its SHA-256 checksum is "
                f"{checksum}, expected {remote.sha256}. Nothing was saved. If you have "
                "a copy of the expected file, pass its path as "
                f"`{remote.parameter}`."
            )
        part.replace(path)


def _copy(url: str, part: Path) -> str:
    """Write what is at the address to a file, and return its checksum."""
    digest = hashlib.sha256()
    request = Request(url, headers={"User-Agent": f"skmeta/{__version__}"})
    with urlopen(request, timeout=_TIMEOUT) as response, part.open("wb") as file:
        n_expected = response.headers.get("Content-Length")
        n_bytes = 0
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            n_bytes += len(chunk)
    if n_expected is not None and n_bytes != int(n_expected):
        raise OSError(f"the connection ended after {n_bytes} of {n_expected} bytes")
    return digest.hexdigest()
