"""Checkpoints: a model in a file that is read as it was written, or refused."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from glob import escape
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from skmeta._version import __version__

__all__ = ["load", "save"]

# A file is the magic line, a line of JSON (its keys are in `_write`), the pickle, and
# the SHA-256 of all bytes before it.
MAGIC = b"skmeta checkpoint\n"
FORMAT = 1
N_DIGEST = 32
LONGEST_HEADER = 1000


def save(model: Any, path: str | os.PathLike[str], *, position: Any = None) -> None:
    """Save a model in a file, which is replaced as a whole.

    The new file is written beside the old one, forced to the disk and renamed. So the
    path names the earlier checkpoint or this one, whatever stops the call: an error, a
    signal or a power failure.

    Parameters
    ----------
    model : estimator
        The model, or any other object that can be pickled, such as a pipeline.
    path : str or path-like
        The file. Its folder must exist. One process or thread at a time saves to a
        path.
    position : object, default=None
        What belongs to this state of the model, such as the number of the last batch
        that it has learned from.

    Raises
    ------
    OSError
        If the file cannot be written.
    Exception
        Of pickle, if the model cannot be pickled. After an error the earlier checkpoint
        is unchanged.

    See Also
    --------
    load : Load the file.

    Notes
    -----
    A save that is killed leaves a file ``.<name>.<random>.part`` in the folder. The
    next save to the path removes it.

    Examples
    --------
    >>> import os, tempfile
    >>> from skmeta import FMRLRegressor, checkpoint
    >>> model = FMRLRegressor().partial_fit([[0.0], [1.0]], [0.0, 1.0], tasks="a")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "stream.skmeta")
    ...     checkpoint.save(model, path, position=17)
    ...     loaded, position = checkpoint.load(path, return_position=True)
    >>> position, loaded.n_tasks_seen_
    (17, 1)
    """
    content = pickle.dumps((model, position), protocol=5)
    path = Path(os.path.realpath(path))  # a link remains a link
    for leftover in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(FileNotFoundError):
            leftover.unlink()
    part = path.with_name(f".{path.name}.{token_hex(8)}.part")
    try:
        _write(part, content)
        os.replace(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def load(path: str | os.PathLike[str], *, return_position: bool = False) -> Any:
    """Load a model that :func:`save` has saved.

    The checksum detects damage, not forgery: loading a pickle can run any code, so load
    only files that you trust.

    Parameters
    ----------
    path : str or path-like
        The file.
    return_position : bool, default=False
        Whether to return `position` as well.

    Returns
    -------
    model : estimator
        The model. It learns on with the same results as the saved one, to the last bit.
    position : object
        Only if `return_position` is true.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or incomplete, is no checkpoint, has another format, or
        holds what cannot be loaded here.

    Warns
    -----
    UserWarning
        If another version of skmeta saved the model.

    See Also
    --------
    save : Save a model.

    Examples
    --------
    >>> import os, tempfile
    >>> from skmeta import checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "torn.skmeta")
    ...     with open(path, "wb") as file:
    ...         n_bytes = file.write(b"skmeta checkpoint")
    ...     checkpoint.load(path)
    Traceback (most recent call last):
    ...
    ValueError: ...is incomplete: it ends within its first lines, after 17 bytes. ...
    """
    data = memoryview(Path(path).read_bytes())
    header, content = _checked(data, path)
    try:
        model, position = pickle.loads(content)
    except Exception as error:
        raise ValueError(
            f"{path} is whole, but what it holds cannot be loaded here: "
            f"{type(error).__name__}: {error}. It was saved with version "
            f"{header['skmeta']} of skmeta; this is {__version__}. Load it with that "
            "version, where all classes of the model can be imported."
        ) from error
    return (model, position) if return_position else model


def _write(path: Path, content: bytes) -> None:
    """Write a checkpoint to a new file and force it to the disk."""
    header = {"format": FORMAT, "skmeta": __version__, "n_bytes": len(content)}
    start = MAGIC + json.dumps(header).encode() + b"\n"
    digest = sha256(start)
    digest.update(content)
    with open(path, "xb") as file:
        for part in (start, content, digest.digest()):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _checked(
    data: memoryview, path: str | os.PathLike[str]
) -> tuple[dict[str, Any], memoryview]:
    """Header and content of a file, or a ValueError that says what is wrong with it."""
    remedy = "Load another copy, or train the model again."
    head = bytes(data[: len(MAGIC) + LONGEST_HEADER])
    if not head.startswith(MAGIC) and not MAGIC.startswith(head):
        raise ValueError(
            f"{path} is not a checkpoint of skmeta, or its first bytes are damaged: it "
            f"starts with {head[:20]!r}. {remedy}"
        )
    end = head.find(b"\n", len(MAGIC))
    if end < 0:
        raise ValueError(
            f"{path} is incomplete: it ends within its first lines, after {len(data)} "
            f"bytes. {remedy}"
        )
    damaged = f"{path} is damaged: its checksum does not match its bytes. {remedy}"
    try:
        header = json.loads(head[len(MAGIC) : end])
        n_bytes = end + 1 + header["n_bytes"] + N_DIGEST
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(damaged) from error
    if len(data) < n_bytes:
        raise ValueError(
            f"{path} is incomplete: it has {len(data)} of {n_bytes} bytes. {remedy}"
        )
    if sha256(data[:-N_DIGEST]).digest() != data[-N_DIGEST:] or len(data) > n_bytes:
        raise ValueError(damaged)
    if header["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {header['format']}, saved with version "
            f"{header['skmeta']} of skmeta. This version, {__version__}, reads format "
            f"{FORMAT}. Load it with the version that saved it."
        )
    return header, data[end + 1 : -N_DIGEST]
