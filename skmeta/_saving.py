"""What estimators write into pickles about themselves: the version of skmeta."""

from __future__ import annotations

import warnings
from typing import Any

from skmeta._version import __version__

KEY = "_skmeta_version"


class Versioned:
    """Mixin of estimators: their pickles carry the version of skmeta.

    A pickle of another version warns when it is loaded.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {**state, KEY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(KEY, None)
        if version != __version__:
            writer = "an unknown version of skmeta" if version is None else version
            warnings.warn(
                f"This {type(self).__name__} was saved with version {writer} and is "
                f"loaded with version {__version__} of skmeta: it may fail or predict "
                "differently. Fit it again, or load it with the version that saved it.",
                UserWarning,
                stacklevel=2,
            )
        parent: Any = super()
        parent.__setstate__(state)
