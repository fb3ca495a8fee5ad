"""Data sets of downloaded files, read from files of the same format that tests make."""

from __future__ import annotations

import bz2
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from skmeta.datasets import _mini_wikipedia as mini_wikipedia
from skmeta.datasets import _school as school
from skmeta.datasets import (
    fetch_mini_wikipedia,
    fetch_school,
    load_wikipedia_sample,
)

SHARED = Path(__file__).parents[2] / "shared" / "data"


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- school


@pytest.fixture
def school_file(tmp_path, monkeypatch):
    """A file of three small schools, and its rows and scores."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 99, (n, 28)).astype(np.uint8) for n in (3, 1, 2)]
    scores = [rng.integers(1, 70, (len(x), 1)).astype(np.uint8) for x in rows]

    def cells(arrays):
        cell = np.empty((1, len(arrays)), dtype=object)
        cell[0] = arrays
        return cell

    path = tmp_path / "school.mat"
    savemat(path, {"X": cells(rows), "Y": cells(scores)})
    monkeypatch.setattr(school, "FILE", school.FILE._replace(sha256=checksum(path)))
    return path, rows, scores


def test_school_reads_the_cells_of_the_file(school_file):
    path, rows, scores = school_file
    bunch = fetch_school(path=path)
    assert bunch.data.dtype == bunch.target.dtype == np.float64
    assert_array_equal(bunch.data, np.vstack(rows))
    assert_array_equal(bunch.target, np.vstack(scores).ravel())
    assert_array_equal(bunch.tasks, [1, 1, 1, 2, 3, 3])
    assert bunch.tasks.dtype == np.int64
    assert len(bunch.feature_names) == 28 == len(set(bunch.feature_names))
    assert "MALSAR" in bunch.DESCR
    frame = fetch_school(path=path, as_frame=True).frame
    assert [*frame] == [*bunch.feature_names, "score", "school"]
    X, y, tasks = fetch_school(path=path, return_X_y=True)
    assert_array_equal(np.column_stack([X, y, tasks]), frame)


def test_school_is_downloaded_once(school_file, tmp_path, monkeypatch):
    path, _, _ = school_file
    monkeypatch.setattr(school, "FILE", school.FILE._replace(url=path.as_uri()))
    home = tmp_path / "home"
    first = fetch_school(data_home=home)
    path.unlink()
    again = fetch_school(data_home=home, download_if_missing=False)
    assert_array_equal(first.data, again.data)


def test_school_refuses_another_file(tmp_path):
    path = tmp_path / "school.mat"
    path.write_bytes(b"not the file")
    with pytest.raises(ValueError, match="school.mat is not the expected file"):
        fetch_school(path=path)


def test_the_real_school_file():
    path = SHARED / "school.mat"
    if not path.exists():
        pytest.skip("needs the shared copy of school.mat")
    bunch = fetch_school(path=path, as_frame=True)
    assert bunch.data.shape == (15362, 28)
    assert bunch.tasks.nunique() == 139
    sizes = bunch.tasks.value_counts()
    assert (sizes.min(), sizes.max()) == (22, 251)
    assert f"{bunch.target.mean():.1f} and standard" in bunch.DESCR
    assert f"deviation {bunch.target.std():.1f} over" in bunch.DESCR
    assert (bunch.target.min(), bunch.target.max()) == (1, 70)
    data = bunch.data
    for first, last in (("free_meals", "free_meals"), ("verbal_band_1",) * 2):
        span = f"{data[first].min():.0f}-{data[last].max():.0f}"
        assert any(first in line and span in line for line in bunch.DESCR.splitlines())
    # The names: indicators of one category sum to 1.
    for category, n_others in {
        "year_": 0,
        "gender_": 0,
        "verbal_": 15,
        "ethnic_": 0,
        "school_gender_": 0,
        "denomination_": 0,
    }.items():
        names = [n for n in data if n.startswith(category) and n != "verbal_band_1"]
        sums = data[names].sum(axis=1)
        assert (sums <= 1).all() and (sums == 0).sum() == n_others
    school_level = [n for n in data if n.startswith(("school_gender", "denomination"))]
    assert (data[school_level].groupby(bunch.tasks).nunique() == 1).all(axis=None)
    assert (data["constant"] == 1).all()


# ---- Mini-Wikipedia

FILES = {
    "miniwikinet/bal/train/1/10.txt": "0\tthe cat\n1\tThe Dog runs\n2\tcat\n3\tbird\n",
    "miniwikinet/bal/train/1/2.txt": "3\tdog dog\n0\tunknown words\n1\tcat\n2\tthe\n",
    "miniwikinet/bal/train/2/2.txt": "0\tcat\n",
    "miniwikinet/raw/7.txt": "0\tcaf\xe9 cat\n",
    "miniwikinet/README": "not a task",
}
VECTORS = "the 1 0 0\ncat 0 2 0\ndog 0 0 -1\ncafé 3 0 0\nother 9 9 9\n"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in FILES.items():
            content = text.encode("cp1252" if "raw" in name else "utf-8")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS, encoding="utf-8")
    return path


def test_mini_wikipedia_sums_the_vectors_of_words(archive, vectors):
    bunch = fetch_mini_wikipedia(
        subset="bal/train/1", archive=archive, vectors=str(vectors)
    )
    assert_array_equal(bunch.tasks, [2, 2, 2, 2, 10, 10, 10, 10])  # not 10, 2
    assert_array_equal(bunch.target, [3, 0, 1, 2, 0, 1, 2, 3])
    assert bunch.tasks.dtype == bunch.target.dtype == np.int64
    half = np.sqrt(0.5)
    expected = [
        [0, 0, -1],
        [0, 0, 0],  # no word has a vector
        [0, 1, 0],
        [1, 0, 0],
        [np.sqrt(0.2), np.sqrt(0.8), 0],
        [half, 0, -half],  # lower case; one word without a vector
        [0, 1, 0],
        [0, 0, 0],
    ]
    assert_allclose(bunch.data, expected, atol=1e-15)
    assert bunch.sentences[:2] == ["dog dog", "unknown words"]
    assert bunch.feature_names == ["vector_1", "vector_2", "vector_3"]
    assert "Pennington" in bunch.DESCR
    frame = fetch_mini_wikipedia(
        subset="bal/train/1", archive=archive, vectors=vectors, as_frame=True
    ).frame
    assert [*frame] == [*bunch.feature_names, "label", "task"]


def test_mini_wikipedia_reads_both_encodings(archive, vectors):
    bunch = fetch_mini_wikipedia(subset="raw", archive=archive, vectors=vectors)
    assert bunch.sentences == ["café cat"]
    assert_allclose(bunch.data, [np.array([3, 2, 0]) / np.sqrt(13)])


def test_mini_wikipedia_downloads_both_files(archive, tmp_path, monkeypatch):
    zipped = tmp_path / "source.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("glove.6B.50d.txt", VECTORS)
        file.writestr("glove.6B.100d.txt", "another length")
    remote = mini_wikipedia.VECTORS._replace(
        url=zipped.as_uri(), sha256=checksum(zipped)
    )
    monkeypatch.setattr(mini_wikipedia, "VECTORS", remote)
    remote = mini_wikipedia.ARCHIVE._replace(url=archive.as_uri())
    monkeypatch.setattr(mini_wikipedia, "ARCHIVE", remote)
    home = tmp_path / "home"
    options = {"subset": "bal/train/2", "data_home": home, "return_X_y": True}
    X, y, tasks = fetch_mini_wikipedia(**options)
    assert_array_equal(X, [[0, 1, 0]])
    assert_array_equal((y, tasks), ([0], [2]))
    archive.unlink(), zipped.unlink()
    again, _, _ = fetch_mini_wikipedia(**options, download_if_missing=False)
    assert_array_equal(again, X)


def test_mini_wikipedia_checks_a_copy_of_the_vectors(archive, tmp_path):
    path = tmp_path / "glove.6B.zip"
    path.write_bytes(b"not the file")
    with pytest.raises(ValueError, match=r"glove.6B.zip is not the expected file"):
        fetch_mini_wikipedia(subset="raw", archive=archive, vectors=path)


def test_mini_wikipedia_names_the_parameter_for_a_copy(archive, tmp_path):
    options = {"data_home": tmp_path, "download_if_missing": False, "subset": "raw"}
    with pytest.raises(FileNotFoundError, match="the path of a copy as `archive`"):
        fetch_mini_wikipedia(**options)
    with pytest.raises(FileNotFoundError, match="the path of a copy as `vectors`"):
        fetch_mini_wikipedia(archive=archive, **options)


def test_mini_wikipedia_names_the_folders(archive, vectors):
    with pytest.raises(ValueError, match="no folder 'bal/train/3'.*'miniwikinet/raw'"):
        fetch_mini_wikipedia(subset="bal/train/3", archive=archive, vectors=vectors)


@pytest.mark.parametrize("line", ["4\tcat", "cat", "0 cat", "\tcat"])
def test_mini_wikipedia_names_a_bad_line(tmp_path, vectors, line):
    path = tmp_path / "archive.tar"
    content = f"0\tcat\n{line}\n".encode()
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("raw/1.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(ValueError, match=r"Line 2 of raw/1.txt must be a label"):
        fetch_mini_wikipedia(subset="raw", archive=path, vectors=vectors)


@pytest.mark.parametrize(
    "text, message",
    [
        ("cat 1 2\ndog 1\n", "Line 2 of .* 2 numbers, as the first .* has 1 numbers"),
        ("", "has no vectors"),
    ],
)
def test_mini_wikipedia_names_bad_vectors(archive, tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        fetch_mini_wikipedia(subset="raw", archive=archive, vectors=path)


# ---- the Wikipedia sample

WORDS = "alpha beta gamma delta omega kappa sigma theta lambda rho".split()
MARKUP = """{{{{Infobox|name={{{{nested|x}}}}}}}}
[[File:Photo.jpg|thumb|A [[link]] in a caption.]]
'''{title}''' is the first [[page|article]] of all&nbsp;the articles here.<ref>A \
note. Not a sentence.</ref> Seven words are not enough. {sentences}
* A list with quite enough words in it is left out.
== See also ==
This sentence of the appendix has enough words but is left out.
"""


def article(title, n_sentences, seed):
    rng = np.random.default_rng(seed)
    return MARKUP.format(
        title=title,
        sentences=" ".join(
            f"The {title} number {k} has {' '.join(rng.choice(WORDS, 5))} in it."
            for k in range(n_sentences)
        ),
    )


@pytest.fixture
def dump(tmp_path):
    """Five pages with enough sentences, one without, and a redirect."""
    titles = {"A": 40, "B": 31, "C": 70, "D": 35, "E": 64, "Short": 3}
    pages = [
        f"<page><title>{title}</title><revision><text>"
        f"{article(title.lower(), n, n).replace('&', '&amp;').replace('<', '&lt;')}"
        "</text></revision></page>"
        for title, n in titles.items()
    ]
    pages.append("<page><title>R</title><redirect/><revision/></page>")
    path = tmp_path / "dump.bz2"
    path.write_bytes(
        bz2.compress(f"<mediawiki xmlns='m'>{''.join(pages)}</mediawiki>".encode())
    )
    return path


def test_wikipedia_sample_makes_tasks_of_sentences(dump):
    bunch = load_wikipedia_sample(path=dump, n_features=5)
    n_tasks = len(bunch.target_names)
    assert n_tasks == 1  # seven groups of 32
    assert bunch.data.shape == (128, 5)
    assert_allclose(np.linalg.norm(bunch.data, axis=1), 1)
    assert_array_equal(bunch.target.reshape(-1, 4).sum(axis=1), 6)  # rounds
    titles = bunch.target_names[0]
    assert len(set(titles)) == 4 and set(titles) <= set("ABCDE")
    assert len(set(bunch.sentences)) == 128
    for text, label in zip(bunch.sentences, bunch.target, strict=True):
        title = titles[label].lower()
        first = f"{title} is the first article of all\xa0the articles here."
        assert text.startswith(f"The {title} number ") or text == first
    assert "gensim" in bunch.DESCR


def test_wikipedia_sample_of_fewer_shots_is_a_part(dump):
    whole = load_wikipedia_sample(path=dump, n_features=5, random_state=3)
    part = load_wikipedia_sample(path=dump, n_features=5, random_state=3, n_shots=2)
    assert part.sentences == whole.sentences[:8]
    assert_array_equal(part.data, whole.data[:8])
    other = load_wikipedia_sample(path=dump, n_features=5, random_state=4, n_shots=2)
    assert other.sentences != part.sentences


def test_wikipedia_sample_says_what_is_missing(dump, tmp_path, monkeypatch):
    few = tmp_path / "few.bz2"
    few.write_bytes(bz2.compress(b"<mediawiki></mediawiki>"))
    with pytest.raises(ValueError, match="at least 32 sentences; there are 0"):
        load_wikipedia_sample(path=few)
    with pytest.raises(ValueError, match="n_features must be at most .* got 999"):
        load_wikipedia_sample(path=dump, n_features=999)
    with pytest.raises(FileNotFoundError):
        load_wikipedia_sample(path=tmp_path / "absent.bz2")
    monkeypatch.setattr(
        "skmeta.datasets._wikipedia_sample.find_spec", lambda name: None
    )
    with pytest.raises(ImportError, match="pip install gensim`, or pass `path`"):
        load_wikipedia_sample()


@pytest.mark.slow
def test_wikipedia_sample_of_gensim():
    pytest.importorskip("gensim", reason="gensim is not installed")
    modules = set(sys.modules)
    bunch = load_wikipedia_sample(n_shots=4)
    assert not {name for name in set(sys.modules) - modules if "gensim" in name}
    assert bunch.data.shape == (16 * len(bunch.target_names), 50)
    assert len(bunch.target_names) > 95
    assert not any("[[" in text or "{{" in text for text in bunch.sentences)
