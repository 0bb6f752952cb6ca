"""What one recording of EMG holds: quality of every channel, synergies, sources, expressions, action units.

    measured = measure("anna", recording)
    measured.quality.flags, measured.synergies.rank_, measured.recognition.score.accuracy

Every step is a library's: this file only says which settings a recording that nobody has seen before gets.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..learning.features import FEATURES, features, window_ends_s
from ..learning.recognition import CLASSIFIERS, NEUTRAL, READINGS, Examples, examples
from ..learning.recognition_scores import Score, Split, evaluate
from ..learning.separation import match, separate
from ..learning.signals import bandpass, envelope, halving_frequency_hz, spectrum
from ..learning.smile_detection import Agreement, agreement, called, chance_kappa, coded, detect, unit_course
from ..learning.synergy import Synergies
from ..sim.errors import InputError
from ..sim.person.observers import cohen_kappa
from ..sim.recording import Event, Recording, Stream

Array = NDArray[np.floating]

CLASSIFIER = "lda"
"""The simplest, for every recording the same."""
WINDOW_S, STEP_S = 0.2, 0.1
ENVELOPE_HZ = 50.0
MAINS_HZ = (50.0, 60.0)
DEAD_UV = 0.1
"""RMS within 20-450 Hz below which a channel is dead: less than any amplifier's own noise."""
CLIPPED, HUM = 1e-3, 0.5
"""Shares of samples at the ends of the range in a row, and of power that is mains, from which a channel is flagged."""
SEEN = (0.01, 0.9)
"""Share of frames in which a unit must be seen to be compared."""
MOST_UNITS = 6
LUCK = 19
"""Shuffles of labels: the best of 19 is exceeded by luck alone once in 20."""
_BLOCK_S = 0.25
_FITTED = 20_000  # samples that sources are found in; they have no order
_PADDED = 1024  # lengths are rounded up to this, so that JAX compiles once for similar recordings


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Of each channel (C,), within 20-450 Hz: RMS over all, of the quietest and the strongest twentieth of quarters of
    a second, median frequency, RMS of the mains (the stronger of 50 and 60 Hz), shares of samples that are clipped and
    that were missing. flags: what is wrong, "" if nothing."""

    channels: tuple[str, ...]
    rms_uv: Array
    rest_uv: Array
    peak_uv: Array
    median_hz: Array
    mains_uv: Array
    clipped: Array
    missing: Array
    flags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """Expressions within a recording, whole trials left out in turn. luck: the best accuracy of `LUCK` shuffles of
    the trials' labels."""

    score: Score
    luck: float
    trials: int


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitReading:
    """An action unit as a camera or coders see it, and the EMG source that goes with it, (T,) at times_s.

    emg: agreement of the source, thresholded, with what was seen; luck: its 95th percentile when shifted in time.
    camera_kappa: of the camera with the coders, NaN unless there are both. lag_s: by how much EMG comes first.
    """

    unit: str
    times_s: Array
    seen: Array
    course: Array
    emg: Agreement
    luck: float
    camera_kappa: float
    lag_s: float
    correlation: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """All that was found. channel_r, source_r: median |r| between envelopes of channels and of separated sources.

    envelopes_uv (T, C) at times_s. None, NaN or empty where there is nothing to find it in; `notes` say why.
    """

    name: str
    duration_s: float
    rate_hz: float
    simulated: bool
    quality: Quality
    times_s: Array
    envelopes_uv: Array
    shown: tuple[Event, ...]
    synergies: Synergies | None
    channel_r: float
    source_r: float
    examples: Examples | None
    recognition: Recognition | None
    units: tuple[UnitReading, ...]
    notes: tuple[str, ...]


def measure(name: str, recording: Recording, *, person: int = 0, seed: int = 0) -> Measured:
    """Measure a recording as `analyse_read.read` gives it. Channels that are dead take no part after `quality`."""
    emg, notes = recording["emg"], list(recording.info.get("notes", []))
    found = quality(emg, np.asarray(recording.info.get("missing", [0.0] * emg.data.shape[1])))
    good = [place for place, flag in enumerate(found.flags) if "dead" not in flag]
    alive = replace(emg, data=emg.data[:, good], channels=tuple(emg.channels[k] for k in good))
    band = bandpass(alive.data, alive.rate_hz)
    every = max(int(alive.rate_hz / ENVELOPE_HZ), 1)
    slow_hz = alive.rate_hz / every
    envelopes = np.maximum(envelope(bandpass(emg.data, emg.rate_hz), emg.rate_hz), 0)[::every]
    times = emg.times_s[::every]
    synergies = _synergies(envelopes[:, good], seed)
    courses, channel_r, source_r = _sources(band, alive.rate_hz, every, seed, notes)
    shown = labels(recording)
    seen, recognised = _recognition(alive, recording, shown, person, seed, notes)
    units = _units(recording, courses, times, slow_hz, seed, notes)
    return Measured(
        name=name, duration_s=emg.duration_s, rate_hz=emg.rate_hz, simulated=bool(recording.info.get("simulated")),
        quality=found, times_s=times, envelopes_uv=envelopes, shown=shown, synergies=synergies, channel_r=channel_r,
        source_r=source_r, examples=seen, recognition=recognised, units=units, notes=tuple(notes),
    )  # fmt: skip


def quality(emg: Stream, missing: Array) -> Quality:
    """How good every channel of EMG (T, C) µV is."""
    data, rate_hz = np.asarray(emg.data, float), emg.rate_hz
    band = bandpass(data - data.mean(0), rate_hz)
    length = int(_BLOCK_S * rate_hz)
    blocks = band[: len(band) // length * length].reshape(-1, length, band.shape[1])
    rest, peak = np.percentile(np.sqrt((blocks**2).mean(1)), (5, 95), axis=0)
    rms = np.sqrt((band**2).mean(0))
    frequency, power = spectrum(band, rate_hz, segment_s=1.0)
    dead = rms < DEAD_UV
    median_hz = np.full(len(rms), np.nan)
    if not dead.all():
        median_hz[~dead] = halving_frequency_hz(frequency, power[:, ~dead])
    mains = np.max([_mains_uv(frequency, power, one) for one in MAINS_HZ], axis=0)
    clipped = np.array([_clipped(column) for column in data.T])
    hum = mains**2 / np.maximum(rms**2, 1e-12) > HUM
    said = {"dead": dead, "clipped": (clipped > CLIPPED) & ~dead, "mains": hum & ~dead, "gaps": missing > 0}
    return Quality(
        channels=emg.channels, rms_uv=rms, rest_uv=rest, peak_uv=peak, median_hz=median_hz, mains_uv=mains,
        clipped=clipped, missing=missing,
        flags=tuple(", ".join(what for what, where in said.items() if where[k]) for k in range(len(rms))),
    )  # fmt: skip


def labels(recording: Recording) -> tuple[Event, ...]:
    """Stretches that say what was shown, of two labels or more: instructions, else expressions, else lasting events.

    Blocks that hold several expressions are none. One expression alone is set against the rest between.
    """
    for kind in ("instruction", "expression", "event"):
        shown = [
            event for event in recording.kinds(kind) if event.duration_s > 0 and not event.label.endswith(" block")
        ]
        if kind == "expression" and len({event.label for event in shown}) == 1:
            shown += _rests(shown, recording["emg"])
        if len({event.label for event in shown}) > 1:
            return tuple(shown)
    return ()


def _rests(shown: list[Event], emg: Stream) -> list[Event]:
    """Neutral between expressions, less the first half second, in which a face lets go."""
    ends = [emg.start_s, *(event.end_s for event in shown)]
    starts = [*(event.onset_s for event in shown), emg.end_s]
    pauses = [(end + 0.5, start) for end, start in zip(ends, starts, strict=True)]
    return [Event(low, high - low, NEUTRAL, None, "expression") for low, high in pauses if high - low > WINDOW_S]


def table(recording: Recording) -> tuple[tuple[str, ...], Array]:
    """Every feature of every channel in sliding windows: names of columns, first the windows' ends in s, and rows."""
    emg = recording["emg"]
    values = features(bandpass(emg.data, emg.rate_hz), emg.rate_hz, tuple(FEATURES), window_s=WINDOW_S, step_s=STEP_S)
    ends = window_ends_s(len(values), emg.rate_hz, WINDOW_S, STEP_S, emg.start_s)
    names = ("end_s", *(f"{channel} {feature}" for channel in emg.channels for feature in FEATURES))
    return names, np.column_stack([ends, values.reshape(len(values), -1)])


def _mains_uv(frequency: Array, power: Array, mains_hz: float) -> Array:
    """RMS (C,) of what stands out of its surroundings at the mains' frequency."""
    far = np.abs(frequency - mains_hz)
    if mains_hz > frequency[-1] - 10:
        return np.zeros(power.shape[1])
    around = np.median(power[(far > 3) & (far < 10)], axis=0)
    return np.sqrt(np.maximum(power[far <= 1.5] - around, 0).sum(0) * (frequency[1] - frequency[0]))


def _clipped(column: Array) -> float:
    """Share of samples that stay at the highest or lowest value for three in a row or more."""
    if not np.ptp(column):
        return 0.0
    at = (column == column.max()) | (column == column.min())
    return float((at[2:] & at[1:-1] & at[:-2]).mean())


def _synergies(envelopes: Array, seed: int) -> Synergies | None:
    if envelopes.shape[1] < 2:
        return None
    scaled = envelopes / envelopes.max(0)
    padding = -len(scaled) % _PADDED  # rows of zeros are explained by any synergy
    return Synergies(seed=seed).fit(np.pad(scaled, ((0, padding), (0, 0))))


def _sources(band: Array, rate_hz: float, every: int, seed: int, notes: list[str]) -> tuple[Array, float, float]:
    """Envelopes (T, K) of separated sources, or of the channels where nothing can be separated, and median |r|."""
    scaled = band / band.std(0)
    channels = np.maximum(envelope(scaled, rate_hz), 0)[::every]
    if band.shape[1] < 2:
        return channels, np.nan, np.nan
    try:
        found = separate(scaled[:: max(len(scaled) // _FITTED, 1)], "picard", seed=seed)
    except InputError as error:
        notes.append(f"Sources were not separated: {error}.")
        return channels, _alike(channels), np.nan
    if not found.converged:
        notes.append("The separation into sources did not converge; a longer recording may help.")
    sources = np.maximum(envelope(found.apply(scaled), rate_hz), 0)[::every]
    return sources, _alike(channels), _alike(sources)


def _alike(courses: Array) -> float:
    table = np.asarray(np.corrcoef(courses.T))
    return float(np.median(np.abs(table[np.triu_indices(len(table), 1)])))


def _recognition(
    emg: Stream, recording: Recording, shown: tuple[Event, ...], person: int, seed: int, notes: list[str]
) -> tuple[Examples | None, Recognition | None]:
    """Windows within what was shown, and how well it is recognised with a repetition left out in turn."""
    if not shown:
        notes.append("Nothing says what was shown, so no expression is recognised; label stretches of time.")
        return None, None
    asked = Counter(event.label for event in shown)
    others = [name for name in asked if name != NEUTRAL]
    told = shown[0].kind == "instruction"
    lasts = float(np.median([event.duration_s for event in shown if event.label != NEUTRAL] or [1.0]))
    late = min(1.0 if told else 0.3, 0.4 * lasts)  # a face needs time to get there
    reading = replace(
        READINGS["fer-ee"], window_s=WINDOW_S, step_s=STEP_S, settle_s=(late, 0.0), neutral=len(others) < 2
    )
    cues = [replace(event, kind="instruction") for event in shown]
    info = {"wearings": recording.info["wearings"]} if "wearings" in recording.info else {}
    try:
        seen = examples(Recording([emg], cues, info=info), reading, person=person)
    except InputError as error:
        notes.append(f"No expression is recognised: {error}.")
        return None, None
    trials = {name: len(np.unique(seen.trial[seen.label == name])) for name in np.unique(seen.label)}
    often = [name for name, count in trials.items() if count > 1]
    once = sorted(set(trials) - set(often))
    if once:
        notes.append(f"Shown only once and so not tested within the recording: {', '.join(once)}.")
    if len(often) < 2:
        return seen, None
    tested = seen.take(np.isin(seen.label, often))
    classifier = CLASSIFIERS[CLASSIFIER]
    score = evaluate(classifier, tested, tested.label, _repetitions(tested, tested.label), seed=seed)
    rng = np.random.default_rng([seed, 0x10C])
    lucky = [_shuffled(tested, rng) for _ in range(LUCK)]
    luck = max(evaluate(classifier, tested, one, _repetitions(tested, one), seed=seed).accuracy.mean for one in lucky)
    return seen, Recognition(score=score, luck=luck, trials=sum(trials[name] for name in often))


def _repetitions(seen: Examples, label: NDArray[np.str_], most: int = 5) -> list[Split]:
    """Splits that leave out whole trials, of every label at least one and not all."""
    turn = np.zeros(len(seen), int)
    fewest = most
    for name in np.unique(label):
        trials = np.unique(seen.trial[label == name])
        fewest = min(fewest, len(trials))
        for place, trial in enumerate(trials):
            turn[(label == name) & (seen.trial == trial)] = place
    fold = turn % fewest
    return [Split(f"fold {k + 1}", np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fewest)]


def _shuffled(seen: Examples, rng: np.random.Generator) -> NDArray[np.str_]:
    """Labels (N,) dealt anew among the trials."""
    trials, first, whose = np.unique(seen.trial, return_index=True, return_inverse=True)
    return rng.permutation(seen.label[first])[whose.reshape(-1)] if len(trials) else seen.label


def _units(
    recording: Recording, courses: Array, times_s: Array, rate_hz: float, seed: int, notes: list[str]
) -> tuple[UnitReading, ...]:
    """Action units that a camera or two coders saw, each with the EMG source that goes with it."""
    camera = recording.streams.get("camera_au")
    coders = "coder_1" in recording and "coder_2" in recording
    guide = camera if camera is not None else recording["coder_1"] if coders else None
    if guide is None:
        return ()
    names = list(dict.fromkeys(channel.split(",")[0] for channel in guide.channels))
    if coders:
        names = [name for name in names if name in recording["coder_1"].channels]
    truth = coded(recording, names) if coders else called(recording, names)
    judged = recording["coder_1"] if coders else guide
    names = [name for name in names if SEEN[0] <= truth[name].mean() <= SEEN[1]]
    strongest = sorted(names, key=lambda name: (name != "AU12", -unit_course(guide, name).var()))
    names = strongest[: min(courses.shape[1], MOST_UNITS)]
    if not names:
        notes.append("No action unit was seen often enough to be compared with EMG.")
        return ()
    seen = {name: np.interp(times_s, guide.times_s, unit_course(guide, name)) for name in names}
    named = match(courses, seen, rate_hz, seed=seed)
    active = detect(courses, rate_hz)
    frames = np.rint((judged.times_s - times_s[0]) * rate_hz).astype(int).clip(0, len(times_s) - 1)
    rng = np.random.default_rng([seed, 0xA0])
    found = []
    for column, name in enumerate(names):
        component = named.component[name]
        said = active[frames, component]
        both = camera is not None and coders and len(camera) == len(truth[name])
        found.append(
            UnitReading(
                unit=name,
                times_s=times_s,
                seen=seen[name],
                course=courses[:, component],
                emg=agreement(truth[name], said),
                luck=float(np.nanpercentile(chance_kappa(truth[name], said, rng), 95)),
                camera_kappa=cohen_kappa(truth[name], called(recording, [name])[name]) if both else np.nan,
                lag_s=float(named.lag_s[component, column]),
                correlation=float(named.correlation[component, column]),
            )
        )
    return tuple(found)


__all__ = ["CLASSIFIER", "Measured", "Quality", "Recognition", "UnitReading", "labels", "measure", "quality", "table"]
