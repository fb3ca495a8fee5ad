"""Checkpoints: whole or refused, whatever stops the process that writes them."""

import copy
import os
import pickle
import secrets
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import stream_with_checkpoints as stream
from copies import COPIES
from hostile import everything
from numpy.testing import assert_array_equal

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
    _saving,
    checkpoint,
)
from skmeta.linear_model import BiasedRidge, OGDRegressor

LONG = "SKMETA_LONG" in os.environ
MODELS = {
    "fmrl": FMRLRegressor(random_state=0),
    "fmrl raw": FMRLRegressor(OGDRegressor(), standardize=False, random_state=0),
    "fmrl exact": FMRLRegressor(BiasedRidge(), random_state=0),
    "fmrl classes": FMRLClassifier(),
    "mixed": MixedEffectsRegressor(),
    "mixed loose": MixedEffectsRegressor(store_tasks=False, window=2),
    "mixed classes": MixedEffectsClassifier(),
}


def learn(model, numbers):
    for number in numbers:
        X, y, tasks = stream.batch(number)
        if hasattr(model, "predict_proba"):
            model.partial_fit(X, y > 0, tasks=tasks, classes=[False, True])
        else:
            model.partial_fit(X, y, tasks=tasks)
    return model


@pytest.fixture(params=MODELS)
def model(request):
    with warnings.catch_warnings():  # small tasks do not identify everything
        warnings.simplefilter("ignore", UserWarning)
        yield learn(copy.deepcopy(MODELS[request.param]), range(5))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a [model].skmeta"
    checkpoint.save(learn(FMRLRegressor(), range(2)), path, position="first")
    return path


# ---- copies continue


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_continues_the_stream_to_the_last_bit(model, how):
    twin = COPIES[how](model)
    assert everything(twin)[1] == everything(model)[1]
    later = range(5, 15)
    assert everything(learn(twin, later))[1] == everything(learn(model, later))[1]


def test_a_checkpoint_continues_the_stream_to_the_last_bit(model, tmp_path):
    checkpoint.save(model, tmp_path / "model")
    twin = checkpoint.load(tmp_path / "model")
    later = range(5, 15)
    assert everything(learn(twin, later))[1] == everything(learn(model, later))[1]


# ---- files


def test_the_position_belongs_to_the_model(path):
    model, position = checkpoint.load(path, return_position=True)
    assert position == "first"
    assert model.n_tasks_seen_ == checkpoint.load(str(path)).n_tasks_seen_
    checkpoint.save(model, path)
    assert checkpoint.load(path, return_position=True)[1] is None


@pytest.mark.parametrize("n_left", [0, 1, 17, 18, 40, 200, -33, -1])
def test_a_torn_file_is_refused(path, n_left):
    path.write_bytes(path.read_bytes()[:n_left])
    with pytest.raises(ValueError, match="is incomplete: .*Load another copy, or"):
        checkpoint.load(path)


def test_a_file_with_any_changed_byte_is_refused(path):
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    places = [*range(100), *rng.integers(0, len(data), 100), len(data) - 1]
    for place in places:
        changed = data.copy()
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="damaged|is incomplete"):
            checkpoint.load(path)
    path.write_bytes(data + b"0")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.load(path)


def test_other_files_are_refused(path):
    path.write_bytes(pickle.dumps(FMRLRegressor()))
    with pytest.raises(ValueError, match="is not a checkpoint of skmeta"):
        checkpoint.load(path)


def test_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(ValueError, match="has format 1, saved with version .*reads fo"):
        checkpoint.load(path)


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_another_version_is_named(path, version, monkeypatch):
    model = checkpoint.load(path)
    monkeypatch.setattr(_saving, "__version__", version)
    checkpoint.save(model, path)
    saved = pickle.dumps(model)
    adapted = pickle.dumps(model.adapt([[0.0] * 3], [1.0]))
    monkeypatch.undo()
    message = "was saved with version (0.0.1|an unknown .*) and is loaded with version"
    for load in (
        lambda: checkpoint.load(path),
        lambda: pickle.loads(saved),
        lambda: pickle.loads(adapted),
    ):
        with pytest.warns(UserWarning, match=message) as records:
            load()
        assert records[0].filename != _saving.__file__


class Gone:
    """A class that pickle finds by name, until it is gone."""


def test_content_that_cannot_be_loaded_is_named(path, monkeypatch):
    module = types.ModuleType("gone")
    module.Gone = Gone
    monkeypatch.setattr(Gone, "__module__", "gone")
    monkeypatch.setitem(sys.modules, "gone", module)
    checkpoint.save(Gone(), path)
    monkeypatch.delitem(sys.modules, "gone")
    with pytest.raises(ValueError, match="is whole, but .*'gone'.*saved with version"):
        checkpoint.load(path)


def test_a_save_that_fails_leaves_the_last_file(path, monkeypatch):
    before = path.read_bytes()
    with pytest.raises(Exception, match="(?i)pickle"):
        checkpoint.save(lambda: None, path)
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, _full_disk)
            with pytest.raises(OSError, match="disk is full"):
                checkpoint.save(FMRLRegressor(), path)
    with pytest.raises(FileNotFoundError):
        checkpoint.save(FMRLRegressor(), path.parent / "nowhere" / "model")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def _full_disk(*arguments):
    raise OSError("the disk is full")


def test_the_bytes_are_on_the_disk_before_the_name_is(path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def call(*arguments, name=name, function=function):
            calls.append(name)
            return function(*arguments)

        monkeypatch.setattr(os, name, call)
    checkpoint.save(FMRLRegressor(), path)
    assert calls == ["fsync", "replace", "fsync"][: 2 + (os.name != "nt")]


def test_what_a_killed_save_has_left_is_removed(path):
    (path.parent / f".{path.name}.0123.part").write_bytes(b"half of a")
    (path.parent / ".another.0123.part").write_bytes(b"not mine")
    checkpoint.save(FMRLRegressor(), path)
    assert sorted(os.listdir(path.parent)) == [".another.0123.part", path.name]


@pytest.mark.skipif(os.name == "nt", reason="links need permissions there")
def test_a_link_remains_a_link(path):
    link = path.parent / "link"
    link.symlink_to(path)
    checkpoint.save(FMRLRegressor(), link, position=1)
    assert link.is_symlink()
    assert checkpoint.load(path, return_position=True)[1] == 1


# ---- a process that is killed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
@pytest.mark.parametrize("family", ["fmrl", "mixed"])
def test_a_killed_stream_resumes_and_loses_nothing(family, tmp_path):
    """SIGKILL at random moments; batches come at least once, each is learned once."""
    n_kills, seed = 100 if LONG else 5, secrets.randbits(32)  # of each family
    path = tmp_path / "model.skmeta"
    script = Path(stream.__file__)
    command = [sys.executable, script, path, family, str(n_kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == n_kills * ["killed"], done.stderr
    position = stream.resume(path, family)[1]
    stream.run(path, family, max(position, 20) + 5)
    model, last = checkpoint.load(path, return_position=True)
    assert last == max(position, 20) + 4
    expected = stream.new_model(family)
    for number in range(last + 1):
        X, y, tasks = stream.batch(number)
        expected.partial_fit(X, y, tasks=tasks)
    assert everything(model)[1] == everything(expected)[1]
    assert_array_equal(model.predict(X, tasks=tasks), expected.predict(X, tasks=tasks))
