"""`duchenne analyse FILE|FOLDER`: a recording of one's own through everything that simulated ones go through.

One recording gives quality of every channel, synergies, sources, features and, where the file says what was shown or
seen, expressions and action units. Several of them add what holds across people. A folder of `.mat` tables with powers
at eight sites is a population (`analyse_people`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..learning.recognition import CLASSIFIERS, Examples, join
from ..learning.recognition_scores import Score, across_people, evaluate
from ..sim.errors import InputError
from . import console
from .analyse_people import is_population, people_study
from .analyse_picture import draw, draw_confusion
from .analyse_read import files, person_of, read
from .analyse_signal import CLASSIFIER, Measured, measure, table
from .study import Finding, Study, folder, publish


def run(
    path: Path,
    out: Path,
    *,
    montage: str | None = None,
    rate_hz: float | None = None,
    unit: str | None = None,
    channels: Sequence[str] = (),
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """Analyse what lies at `path`, write report.html, findings.json, pictures and features into `out`. Returns 0.

    montage, rate_hz, unit, channels: what the files do not say, see `analyse_read.read`. Raises `InputError`,
    `VocabularyError` with one line that says what to pass.
    """
    path = Path(path)
    if is_population(path):
        if rate_hz is not None or unit is not None or channels or montage not in (None, "kolodziej8"):
            raise InputError(
                f"{path} holds powers of windows at kolodziej8's sites; "
                "--montage, --rate, --unit and --channels are for EMG itself: leave them out"
            )
        return publish(people_study(path, folder(out), seed=seed), out, as_json=as_json)
    found = files(path)
    folder(out)
    people: dict[str, int] = {}
    measured = []
    with console.progress() as bar:
        task = bar.add_task("recordings", total=len(found))
        for file in found:
            recording = read(file, montage=montage, rate_hz=rate_hz, unit=unit, channels=channels)
            number = people.setdefault(person_of(file), len(people))
            measured.append(measure(file.stem, recording, person=number, seed=seed))
            _write_features(file.stem, *table(recording), folder(out / "features"))
            bar.advance(task)
    return publish(_study(path, measured, out, seed), out, as_json=as_json)


def _write_features(name: str, columns: Sequence[str], rows: np.ndarray, where: Path) -> None:
    quoted = ",".join('"' + one.replace('"', "'") + '"' for one in columns)
    np.savetxt(where / f"{name}.csv", rows, "%.6g", ",", header=quoted, comments="", encoding="utf-8")


def _study(path: Path, measured: list[Measured], out: Path, seed: int) -> Study:
    first = measured[0]
    pictures = list(draw(first, out))
    findings = [finding for one in measured for finding in _of_recording(one, brief=len(measured) > 1)]
    figures = _figures(measured)
    recognised = [one for one in measured if one.recognition]
    if recognised and recognised[0].recognition:
        score = recognised[0].recognition.score
        caption = f"{recognised[0].name}, repetitions left out in turn"
        pictures.append(draw_confusion(score, caption, out / "confusion.png"))
    notes = [f"{one.name}: {note}" if len(measured) > 1 else note for one in measured for note in one.notes]
    strangers = _strangers(measured, seed, notes)
    for name, score in strangers.items():
        held = score.accuracy
        figures |= {name: held.mean, f"{name}_low": held.low, f"{name}_high": held.high}
        findings.append(
            Finding(
                topic="expressions", what=f"accuracy, a person left out{_SCALED.get(name, '')}", ours=held.mean,
                low=held.low, high=held.high, real=not first.simulated, verdict=f"chance {score.chance:.2f}",
            )
        )  # fmt: skip
    if strangers:
        score = strangers["accuracy_unseen_person"]
        pictures.append(draw_confusion(score, "One person left out in turn", out / "strangers.png"))
    lengths = sum(one.duration_s for one in measured)
    channels = len(first.quality.channels)
    return Study(
        title=f"Analysis of {path.name}",
        summary=f"{len(measured)} recording{'s' if len(measured) > 1 else ''}, {lengths:,.0f} s in all, "
        f"{channels} channels, {first.rate_hz:.6g} Hz.",
        figures=figures,
        findings=findings,
        pictures=pictures,
        notes=[*dict.fromkeys(notes), *_NOTES],
    )


_SCALED = {"accuracy_unseen_person_scaled": ", everyone scaled by themselves"}


def _strangers(measured: list[Measured], seed: int, notes: list[str]) -> Mapping[str, Score]:
    """Expressions of people that a classifier has not seen, where several people showed the same ones."""
    seen = [one.examples for one in measured if one.examples is not None]
    if len({int(one.person[0]) for one in seen}) < 2:
        return {}
    if len({one.channels for one in seen}) > 1:
        notes.append("Channels differ between recordings, so nobody was left out; choose common ones with --channels.")
        return {}
    every = join(seen)
    common = set(every.label).intersection(*(set(one.label) for one in seen))
    every = every.take(np.isin(every.label, sorted(common)))
    if len(common) < 2:
        notes.append("Recordings have fewer than two expressions in common, so nobody was left out.")
        return {}

    def score(examples: Examples) -> Score:
        return evaluate(CLASSIFIERS[CLASSIFIER], examples, examples.label, across_people(examples), seed=seed)

    return {
        "accuracy_unseen_person": score(every),
        "accuracy_unseen_person_scaled": score(every.scaled_by_batch()),
    }


def _of_recording(one: Measured, *, brief: bool) -> list[Finding]:
    """Findings of one recording; brief: of its channels only those with something wrong."""
    of, real = (f"{one.name}: " if brief else ""), not one.simulated
    good = one.quality
    found = [
        Finding(
            topic=f"{of}channels",
            what=f"{name}: RMS [rest … strongest], median {good.median_hz[k]:.0f} Hz, mains {good.mains_uv[k]:.2g} µV",
            ours=float(good.rms_uv[k]), low=float(good.rest_uv[k]), high=float(good.peak_uv[k]), unit="µV", real=real,
            verdict=good.flags[k] or "good",
        )
        for k, name in enumerate(good.channels)
        if not brief or good.flags[k]
    ]  # fmt: skip
    if one.synergies is not None:
        kept = one.synergies
        what = f"rank at {kept.least_vaf:.2f} VAF and {kept.least_channel_vaf:.2f} in every channel"
        found.append(Finding(topic=f"{of}synergies", what=what, ours=float(kept.rank_), real=real))
        found.append(Finding(topic=f"{of}synergies", what="VAF at that rank", ours=kept.vaf_, real=real))
        for what, value in (("channels", one.channel_r), ("separated sources", one.source_r)):
            found.append(Finding(topic=f"{of}sources", what=f"median |r| of envelopes, {what}", ours=value, real=real))
    if one.recognition:
        score, held = one.recognition.score, one.recognition.score.accuracy
        found.append(
            Finding(
                topic=f"{of}expressions", what=f"accuracy of {len(score.classes)}, repetitions left out, {CLASSIFIER}",
                ours=held.mean, low=held.low, high=held.high, real=real,
                verdict=f"chance {score.chance:.2f}, best of shuffled {one.recognition.luck:.2f}",
            )
        )  # fmt: skip
    for unit in one.units:
        luck = f"luck {unit.luck:.2f}"
        found.append(
            Finding(
                topic=f"{of}{unit.unit}",
                what="κ of EMG with what was seen",
                ours=unit.emg.kappa,
                real=real,
                verdict=luck,
            )
        )
        if np.isfinite(unit.camera_kappa):
            found.append(
                Finding(topic=f"{of}{unit.unit}", what="κ of camera with coders", ours=unit.camera_kappa, real=real)
            )
        found.append(
            Finding(
                topic=f"{of}{unit.unit}",
                what="EMG comes first by",
                ours=1e3 * unit.lag_s,
                unit="ms",
                real=real,
                verdict=f"r {unit.correlation:.2f}",
            )
        )
    return found


def _figures(measured: list[Measured]) -> dict[str, float]:
    """By name; over several recordings the median of each."""
    every = [_figures_of(one) for one in measured]
    if len(every) == 1:
        return {"recordings": 1.0, **every[0]}
    names = dict.fromkeys(name for one in every for name in one)
    return {
        "recordings": float(len(every)),
        **{name: float(np.median([one[name] for one in every if name in one])) for name in names},
    }


def _figures_of(one: Measured) -> dict[str, float]:
    good = one.quality
    figures = {
        "duration_s": one.duration_s,
        "rate_hz": one.rate_hz,
        "channels": float(len(good.channels)),
        "channels_flagged": float(sum(bool(flag) for flag in good.flags)),
        "rest_rms_uv": float(np.median(good.rest_uv)),
    }
    for k, name in enumerate(good.channels):
        short = "_".join("".join(c if c.isalnum() else " " for c in name.casefold()).split())
        figures |= {f"rms_uv_{short}": float(good.rms_uv[k]), f"median_hz_{short}": float(good.median_hz[k])}
    if one.synergies is not None:
        figures |= {"synergies": float(one.synergies.rank_), "vaf": one.synergies.vaf_}
        figures |= {"envelope_r_channels": one.channel_r, "envelope_r_sources": one.source_r}
    if one.recognition:
        held = one.recognition.score.accuracy
        figures |= {"accuracy": held.mean, "accuracy_low": held.low, "accuracy_high": held.high}
        figures |= {"chance": one.recognition.score.chance, "accuracy_shuffled": one.recognition.luck}
    for unit in one.units:
        short = unit.unit.casefold()
        figures |= {f"kappa_{short}_emg": unit.emg.kappa, f"delay_{short}_ms": 1e3 * unit.lag_s}
        figures[f"correlation_{short}"] = unit.correlation
        if np.isfinite(unit.camera_kappa):
            figures[f"kappa_{short}_camera"] = unit.camera_kappa
    return figures


_NOTES = (
    "Rest and strongest are the 5th and 95th percentile of quarters of a second, within 20-450 Hz; nothing checks that "
    "the face was at rest.",
    "Repetitions within a recording share one wearing of the electrodes and one person; another day or another person "
    "is harder.",
    "A high VAF does not mean that synergies are muscles: crosstalk makes channels alike and raises it.",
    "Action units are read as the distal-EMG paper reads them: the first second counts as rest, and EMG is active "
    "above its mean + 2 SD. That finds weak activity of neighbours too, so κ may be low where the correlation is high.",
)


__all__ = ["run"]
