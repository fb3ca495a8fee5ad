"""Omniglot, from archives of its format that the tests make."""

from __future__ import annotations

import hashlib
import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmeta.datasets import _omniglot, fetch_omniglot
from skmeta.datasets._download import RemoteFile

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

NAMES = [
    "Greek/character10/0399_02.png",
    "Greek/character10/0399_01.png",
    "Greek/character02/0391_01.png",
    "Anglo-Saxon_Futhorc/character01/0210_20.png",
]
SORTED = [NAMES[3], NAMES[2], NAMES[1], NAMES[0]]
CHARACTERS = ["Anglo-Saxon_Futhorc/character01", "Greek/character02"]
CHARACTERS.append("Greek/character10")


def png(is_white):
    buffer = BytesIO()
    Image.fromarray(is_white).save(buffer, format="png")
    return buffer.getvalue()


@pytest.fixture
def pixels():
    """Whether a pixel is white, by the name of the image."""
    rng = np.random.default_rng(0)
    return {name: rng.random((105, 105)) < rng.random() for name in NAMES}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write an archive of one content per name, and expect its checksum."""

    def write(contents):
        path = tmp_path / "images_background_small1.zip"
        with ZipFile(path, "w") as file:
            file.writestr("images_background_small1/Greek/", b"")
            file.writestr("__MACOSX/images_background_small1/._Greek", b"")
            for name, content in contents.items():
                file.writestr(f"images_background_small1/{name}", content)
        expect(path)
        return path

    def expect(path):
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        remote = RemoteFile("archive.zip", "http://localhost/archive.zip", checksum)
        monkeypatch.setitem(_omniglot._FILES, "background_small1", remote)

    write.expect = expect
    return write


@pytest.fixture
def archive(make, pixels):
    return make({name: png(is_white) for name, is_white in pixels.items()})


def ink(is_white, block_size):
    """The share of black pixels of every block, pixel by pixel."""
    side = 105 // block_size
    found = np.zeros((side, side))
    for i in range(105):
        for j in range(105):
            found[i // block_size, j // block_size] += not is_white[i, j]
    return found / block_size**2


@pytest.mark.parametrize("block_size", [1, 5, 105])
def test_images_are_in_order_and_averaged(archive, pixels, block_size):
    found = fetch_omniglot(path=archive, block_size=block_size)
    side = 105 // block_size
    assert found.images.shape == (4, side, side)
    assert found.data.shape == (4, side**2) == (4, len(found.feature_names))
    assert found.data.dtype == found.images.dtype == np.float32
    for name, image, row in zip(SORTED, found.images, found.data, strict=True):
        assert_allclose(image, ink(pixels[name], block_size), atol=1e-6)
        assert_array_equal(row, image.ravel())
    assert_array_equal(found.target, [0, 1, 2, 2])
    assert found.target_names == CHARACTERS
    assert_array_equal(found.tasks, ["Anglo-Saxon_Futhorc", "Greek", "Greek", "Greek"])
    assert (found.target_name, found.task_name) == ("character", "alphabet")
    assert found.feature_names[:2] == ["pixel_0_0", "pixel_0_1"][:side]
    assert found.frame is None
    assert "Lake" in found.DESCR


def test_a_tuple_or_a_frame(archive):
    pd = pytest.importorskip("pandas")
    expected = fetch_omniglot(path=archive)
    data, target, tasks = fetch_omniglot(path=archive, return_X_y=True)
    assert_array_equal(data, expected.data)
    assert_array_equal(target, expected.target)
    assert_array_equal(tasks, expected.tasks)
    found = fetch_omniglot(path=archive, as_frame=True)
    names = [*expected.feature_names, "character", "alphabet"]
    assert list(found.frame) == names
    assert isinstance(found.data, pd.DataFrame)
    assert_array_equal(found.data, expected.data)
    assert_array_equal(found.target, expected.target)
    assert list(found.tasks) == list(expected.tasks)


def test_an_archive_in_the_folder_is_not_downloaded(archive, tmp_path):
    folder = tmp_path / "home" / "skmeta"
    folder.mkdir(parents=True)
    archive.rename(folder / "archive.zip")
    options = {"data_home": tmp_path / "home", "download_if_missing": False}
    assert fetch_omniglot(**options).data.shape == (4, 441)
    (folder / "archive.zip").unlink()
    with pytest.raises(FileNotFoundError, match="archive.zip"):
        fetch_omniglot(**options)


def test_another_archive_is_refused(archive):
    with pytest.raises(ValueError, match="not the expected file omniglot_images_eval"):
        fetch_omniglot(path=archive, subset="evaluation")


WRONG = {
    "no image": ({"Greek/readme.txt": b""}, "not an archive of Omniglot.*0394_01.png"),
    "not a png": ({NAMES[0]: b"no"}, "small1.zip: .*0399_02.png is not an image"),
    "size": ({NAMES[0]: png(np.ones((105, 100), bool))}, "has 100 x 105 pixels, expe"),
}


@pytest.mark.parametrize(("contents", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_archive_is_an_error_that_says_what_is_wrong(make, contents, message):
    with pytest.raises(ValueError, match=message):
        fetch_omniglot(path=make(contents))


def test_what_is_no_zip_file_is_an_error(make, tmp_path):
    path = tmp_path / "images.zip"
    path.write_bytes(b"no archive")
    make.expect(path)
    with pytest.raises(ValueError, match=r"images.zip is not a zip file"):
        fetch_omniglot(path=path)


def test_blocks_must_divide_the_side(archive):
    with pytest.raises(ValueError, match="'block_size' .* must divide 105. Got 4"):
        fetch_omniglot(path=archive, block_size=4)
    with pytest.raises(ValueError, match="'subset' parameter of fetch_omniglot"):
        fetch_omniglot(path=archive, subset="small1")


def test_without_pillow_the_error_says_what_to_install(archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="requires Pillow.*pip install pillow"):
        fetch_omniglot(path=archive)


def test_every_archive_has_a_checksum():
    assert len(_omniglot._FILES) == 4
    for subset, remote in _omniglot._FILES.items():
        assert remote.url.endswith(f"/images_{subset}.zip")
        assert len(bytes.fromhex(remote.sha256)) == 32


def test_the_real_archive():
    data = Path(__file__).parents[2] / "shared" / "data"
    path = data / "omniglot_images_background_small1.zip"
    if not path.is_file():
        pytest.skip("a copy of the archive is not beside the project")
    found = fetch_omniglot(path=path)
    assert found.images.shape == (2720, 21, 21)
    assert_array_equal(np.bincount(found.target), np.full(136, 20))
    alphabets = ["Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"]
    assert list(dict.fromkeys(found.tasks)) == alphabets
    assert found.target_names[0] == "Balinese/character01"
    assert 0.05 < found.images.mean() < 0.1  # ink is rare
