"""Downloads of data sets: from a server on this machine, or a file of the test."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from skmeta.datasets._download import RemoteFile, cache_folder, fetch_file

CONTENT = bytes(range(256)) * 9000  # more than two chunks
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"another file").hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.n_requests += 1
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path == "/short" else CONTENT)

    def log_message(self, format, *args):
        """Tests print nothing."""


@pytest.fixture
def server():
    """A server on the loopback interface that counts its requests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.n_requests = 0
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def files_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("checksum", [CHECKSUM, None])
def test_a_file_is_downloaded_once(server, tmp_path, checksum):
    remote = RemoteFile("data.bin", f"{server.url}/data", checksum)
    for _ in range(2):
        path = fetch_file(remote, data_home=tmp_path)
        assert path == tmp_path / "skmeta" / "data.bin"
        assert path.read_bytes() == CONTENT
    assert server.n_requests == 1
    assert files_in(tmp_path) == ["data.bin"]
    # A file that is there needs no network.
    gone = remote._replace(url="http://127.0.0.1:1/data")
    assert fetch_file(gone, data_home=tmp_path, download_if_missing=False) == path


def test_an_address_of_a_file_works_too(tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)
    remote = RemoteFile("data.bin", source.as_uri(), CHECKSUM)
    assert fetch_file(remote, data_home=tmp_path / "home").read_bytes() == CONTENT


def test_the_folder_is_that_of_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / "skmeta"
    assert cache_folder().is_dir()


@pytest.mark.parametrize(
    "address, checksum, error, message",
    [
        ("/data", OTHER, ValueError, rf"no longer .* {CHECKSUM}, expected {OTHER}"),
        ("/missing", CHECKSUM, OSError, "404.*save it as .*data.bin, or pass the path"),
        ("/short", CHECKSUM, OSError, f"ended after 1000 of {len(CONTENT)} bytes"),
        ("/short", None, OSError, f"ended after 1000 of {len(CONTENT)} bytes"),
    ],
)
def test_a_failed_download_leaves_nothing(
    server, tmp_path, address, checksum, error, message
):
    remote = RemoteFile("data.bin", server.url + address, checksum)
    with pytest.raises(error, match=message):
        fetch_file(remote, data_home=tmp_path)
    assert files_in(tmp_path) == []


def test_no_server_is_an_error_that_says_what_to_do(tmp_path):
    remote = RemoteFile("data.bin", "http://127.0.0.1:1/data", CHECKSUM)
    with pytest.raises(OSError, match="could not be downloaded.*Download http://127"):
        fetch_file(remote, data_home=tmp_path)
    assert files_in(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)

    class Interrupted:
        def update(self, chunk):
            raise KeyboardInterrupt

    monkeypatch.setattr("skmeta.datasets._download.hashlib.sha256", Interrupted)
    remote = RemoteFile("data.bin", source.as_uri(), CHECKSUM)
    with pytest.raises(KeyboardInterrupt):
        fetch_file(remote, data_home=tmp_path / "home")
    assert files_in(tmp_path / "home") == []


def test_a_missing_file_is_not_downloaded_unless_asked(server, tmp_path):
    remote = RemoteFile("data.bin", f"{server.url}/data", CHECKSUM)
    with pytest.raises(FileNotFoundError, match="missing, and download_if_missing=Fal"):
        fetch_file(remote, data_home=tmp_path, download_if_missing=False)
    assert server.n_requests == 0


def test_a_damaged_file_in_the_cache_is_named(server, tmp_path):
    remote = RemoteFile("data.bin", f"{server.url}/data", CHECKSUM)
    path = fetch_file(remote, data_home=tmp_path)
    path.write_bytes(b"another file")
    with pytest.raises(ValueError, match=rf"data.bin is not .*{OTHER}.*Delete it to"):
        fetch_file(remote, data_home=tmp_path)
    assert path.read_bytes() == b"another file"


def test_a_copy_is_used_where_it_is(server, tmp_path):
    remote = RemoteFile("data.bin", f"{server.url}/data", CHECKSUM)
    copy = tmp_path / "copy.bin"
    copy.write_bytes(CONTENT)
    assert fetch_file(remote, data_home=tmp_path / "home", path=str(copy)) == copy
    assert not (tmp_path / "home").exists()
    copy.write_bytes(b"another file")
    with pytest.raises(ValueError, match=f"copy.bin is not .* expected {CHECKSUM}"):
        fetch_file(remote, path=copy)
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.bin"):
        fetch_file(remote, path=tmp_path / "absent.bin")
    assert server.n_requests == 0
