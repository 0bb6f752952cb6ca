"""`duchenne study physiology`: is the simulated person a person? Every claim with what was expected, got, and whence.

Topics: equilibrium, displacement and gradients of the face (`physiology_mechanics`); conductor, crosstalk,
amplitude, spectrum and firing (`physiology_electricity`); people who smile (`physiology_behaviour`); eight sites and
seven expressions beside real people (`posed_pattern`); what a camera sees of her (`person_camera`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..sim.errors import DuchenneError, InputError
from . import console, physiology_behaviour, physiology_electricity, physiology_mechanics, real_recordings
from .checks import Check, counts, table
from .physiology_picture import draw
from .posed_pattern import Agreement, agreement, simulated_pattern

SMILERS, POSERS = 10, 24
"""People in the two populations."""


@dataclass(frozen=True)
class Physiology:
    """Everything the study found: checks, figures, and the patterns behind two of them."""

    checks: tuple[Check, ...]
    figures: dict[str, float]
    simulated: real_recordings.Pattern
    real: real_recordings.Pattern
    smilers: physiology_behaviour.Population


def run(out: Path, *, data: Path | None = None, seed: int = 0, as_json: bool = False) -> int:
    """Do the study, write checks.json and physiology.png into `out`, print the table. Returns the exit code.

    data: folder with the real recordings. Raises `InputError` where it is missing.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {out}: {error.strerror}; choose another folder with --out") from error
    found = study(real_recordings.DATA if data is None else Path(data), seed)
    table("Physiology of the simulated person", found.checks)
    rows = [check.as_dict() for check in found.checks]
    (out / "checks.json").write_text(json.dumps({"figures": found.figures, "checks": rows}, indent=1, allow_nan=True))
    draw(found.simulated, found.real, found.smilers, out / "physiology.png")
    console.console.print(f"\nwritten: {out / 'checks.json'}, {out / 'physiology.png'}")
    if as_json:
        console.emit(found.figures, checks=rows)
    return 0


def study(data: Path = real_recordings.DATA, seed: int = 0) -> Physiology:
    """All checks. Raises `InputError` if the real recordings are not in `data`."""
    real, muscles = real_recordings.eight_sites(data), real_recordings.three_muscles(data)
    with console.progress() as bar:
        task = bar.add_task("muscles and skin", total=2 + 2 * SMILERS + POSERS + 1)
        checks = list(physiology_mechanics.checks())
        bar.update(task, advance=1, description="motor units and electrodes")
        checks += physiology_electricity.checks()
        median_hz = physiology_electricity.median_frequency()
        checks += _spectrum(median_hz, muscles)
        bar.update(task, advance=1, description="people who smile")
        smilers = physiology_behaviour.population(SMILERS, seed, lambda done: bar.update(task, completed=2 + done))
        checks += physiology_behaviour.checks(smilers, data)
        bar.update(task, description="people before eight electrodes")
        simulated = simulated_pattern(
            POSERS, seed, progress=lambda done: bar.update(task, completed=2 + 2 * SMILERS + done)
        )
        alike = agreement(simulated, real)
        checks += _pattern(alike)
        bar.update(task, description="what a camera sees")
        checks += _camera()
        bar.update(task, advance=1)
    figures = {
        **counts(checks),
        "emg_lead_proximal_ms": 1e3 * float(np.median(smilers.lead_proximal_s)),
        "emg_lead_distal_ms": 1e3 * float(np.median(smilers.lead_distal_s)),
        "median_frequency_hz": median_hz,
        "pattern_correlation": alike.pattern,
        "pattern_correlation_smile": alike.smile,
        "pattern_permutation_rank": alike.permutation_rank,
        "channel_correlation": alike.channels,
        "channel_correlation_real": alike.channels_real,
    }
    return Physiology(tuple(checks), figures, simulated, real, smilers)


def _spectrum(median_hz: float, muscles: real_recordings.ThreeMuscles) -> Iterator[Check]:
    burst = muscles.bursts(muscles.channels.index("zygomaticus"))
    yield Check(
        topic="spectrum", what="zygomaticus pair, median frequency in a natural smile", got=median_hz,
        low=0.75 * burst.median_hz, high=1.25 * burst.median_hz, unit="Hz",
        source=f"a real burst less rest: {burst.median_hz:.0f} Hz (one person), ± 25 %",
    )  # fmt: skip


def _pattern(alike: Agreement) -> Iterator[Check]:
    people = "8 real people (Kolodziej et al. 2024), nothing fitted to them"
    yield Check(topic="pattern", what="dB over neutral, 6 expressions × 8 sites: correlation", got=alike.pattern,
                low=0.5, source=people)  # fmt: skip
    yield Check(topic="pattern", what="the smile's row alone", got=alike.smile, low=0.7, source=people)
    low, high = alike.channels_real - 0.15, alike.channels_real + 0.15
    yield Check(topic="pattern", what="correlation of log power between sites, median", got=alike.channels, low=low,
                high=high, source=f"{people}: {alike.channels_real:.2f}")  # fmt: skip


def _camera() -> list[Check]:
    """What MediaPipe sees of the rendered mean person; NaN where no picture can be made."""
    from .person_camera import measure

    try:
        seen = measure(random_poses=0)
        figures, spots = seen.figures, seen.spots
    except DuchenneError as error:
        console.complain(f"no camera: {error}")
        figures, spots = {}, {}
    source, blind = "MediaPipe on rendered pictures", "MediaPipe is nearly blind to it; the observer inherits that"
    rows = (
        ("expressions and neutral found on six people, share", "detected_fraction", 1.0, 1.0),
        ("mouth, seven expressions: gain", "mouth_gain", 0.85, 1.1),
        ("mouth, seven expressions: correlation", "mouth_r", 0.9, 1.0),
        ("raised brows: gain", "raised_brow_gain", 0.85, 1.1),
        ("raised brows: correlation", "raised_brow_r", 0.9, 1.0),
    )
    checks = [
        Check(topic="camera", what=what, got=figures.get(name, np.nan), low=low, high=high, source=source)
        for what, name, low, high in rows
    ]
    for spot in ("AU4 brow, inwards", "AU6 cheek", "AU9 side of the nose", "AU17 chin"):
        checks.append(Check(topic="camera", what=f"{spot}: gain", got=spots.get(spot, np.nan), high=0.4, source=blind))
    return checks
