import os
import signal
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MUJOCO_GL", "egl")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; programs under test inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def small_recording():
    """Eight seconds as a simulated person would give them: two bipolar channels that burst in two smiles, a mesh
    whose mouth corners rise a little later, action units, muscles, events, truth."""
    from duchenne.sim import mesh
    from duchenne.sim.recording import Event, Recording, Stream

    rng = np.random.default_rng(0)
    seconds = 8.0

    def smile(rate_hz: float, late_s: float = 0.0) -> np.ndarray:
        times = np.arange(round(seconds * rate_hz)) / rate_hz - late_s
        rises = [1 / (1 + np.exp(-(times - on) / 0.08)) - 1 / (1 + np.exp(-(times - off) / 0.15)) for on, off in SMILES]
        return np.clip(np.sum(rises, axis=0), 0, 1)

    drive, later = smile(1024), smile(30, 0.12)
    carrier = np.sin(2 * np.pi * 90 * np.arange(len(drive)) / 1024 + rng.uniform(0, 6, (2, 1))).T
    clean = (carrier * drive[:, None] * [120, 40] * (0.5 + rng.random((len(drive), 2)))).astype(np.float32)
    lifted = np.exp(-((mesh.REST - mesh.REST[61]) ** 2).sum(1) / (2 * 0.015**2))
    lifted = lifted + lifted[mesh.MIRROR]
    moved = mesh.REST + later[:, None, None] * lifted[:, None] * np.array([0, 0.010, -0.002])
    activation = smile(128, 0.05)
    muscles = ("zygomaticus major, right", "zygomaticus major, left")
    contacts = {
        "names": ["Z1", "Z2", "C1", "C2"],
        "positions_m": mesh.REST[[50, 187, 66, 65]].tolist(),
        "diameter_mm": 4.0,
        "derivation": [[1, -1, 0, 0], [0, 0, 1, -1]],
        "reference": "bipolar",
        "target_muscles": ["zygomaticus major, right", "corrugator supercilii, right"],
    }
    return Recording(
        streams=[
            Stream("emg", clean + rng.normal(0, 3, clean.shape).astype(np.float32), 1024, channels=CHANNELS, unit="uV"),
            Stream("emg_clean", clean, 1024, channels=CHANNELS, unit="uV"),
            Stream("landmarks", (1e3 * moved).astype(np.float32), 30, unit="mm", gaps=True),
            Stream("au", np.repeat(activation[:, None], 2, 1), 128, channels=("AU12, right", "AU12, left")),
            Stream("activation", np.repeat(activation[:, None], 2, 1), 128, channels=muscles),
            Stream("camera_au", later[:, None], 30, channels=("AU12",)),
        ],
        events=[Event(on, off - on, "happiness", 0.9, "expression") for on, off in SMILES]
        + [Event(on, 0.3, "onset", None, "phase") for on, _ in SMILES],
        truth={"spike_sample": np.flatnonzero(rng.random(8192) < 0.01).astype(np.int32)},
        info={"person": {"name": "test"}, "protocol": "smiles", "montage": "pair", "electrodes": contacts},
    )


SMILES = ((1.5, 3.0), (5.0, 6.8))
CHANNELS = ("zygomaticus", "corrugator")
