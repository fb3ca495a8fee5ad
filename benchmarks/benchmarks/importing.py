"""What an import costs, in a fresh process."""

import subprocess
import sys

from benchmarks._side_by_side import SideBySide

_CODE = (
    "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
)


def _import_ms(module):
    # -P: the installed package, whatever stands in the working directory
    command = [sys.executable, "-P", "-c", _CODE.format(module)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return 1e3 * float(done.stdout)


class Import(SideBySide):
    """import skmeta; scikit-learn: import sklearn.linear_model."""

    unit = "ms"

    def track_skmeta(self):
        return _import_ms("skmeta")

    def track_sklearn(self):
        return _import_ms("sklearn.linear_model")
