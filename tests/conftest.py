import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MUJOCO_GL", "egl")

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the checkout; tests that need it are skipped where it is absent."""
    if not _DATA.is_dir():
        pytest.skip(f"no real recordings at {_DATA}")
    return _DATA


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def face_model() -> Path:
    """The face landmarker's model file: from the cache, or fetched."""
    from duchenne.sim.model_file import model_path

    return model_path()


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A smiling face, (512, 512, 3) uint8."""
    from skimage.data import astronaut

    return astronaut()
