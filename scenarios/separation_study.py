"""`duchenne study separation`: are muscles told apart, near and far, and does variance explained know it?

Methods of separation over electrodes, noise, tension, task and number of components, on people whose muscles are
known. Every score stands beside chance, beside a random unmixing, and beside what knowing the mixing would give.
"""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from . import separation_picture
from .separation_cases import METHODS, SCORES, Case
from .separation_results import (
    BETTER,
    FAMILIES,
    FAR,
    FOUND,
    LABELS,
    NEAR,
    PLACES,
    Results,
    interval,
    measure,
    vaf_knows,
)
from .study import Finding, Study, folder, publish

Array = NDArray[np.floating]

PEOPLE = 6
_DIGITS = MappingProxyType({"sdr_db": 1})


def run(out: Path, *, people: int | None = None, seed: int = 0, as_json: bool = False) -> int:
    """Make the study in folder `out`, with `people` simulated people. Returns 0. Raises `InputError`."""
    count = PEOPLE if people is None else people
    if count < 2:
        raise InputError(f"people: got {people}, but an interval over people needs 2 or more")
    results = measure(folder(out), count, seed)
    pictures = separation_picture.draw(results, out)
    return publish(
        Study(
            title="Told apart: separation of facial EMG, near and far",
            summary=f"{count} simulated people, seed {seed}; {len(results.cases)} ways to record them, "
            f"{len(METHODS)} ways to take the recording apart. Intervals: 95 % over people (t).",
            figures=figures(results),
            findings=findings(results),
            pictures=pictures,
            notes=_notes(results),
        ),
        out,
        as_json=as_json,
    )


def figures(results: Results) -> dict[str, float]:
    """Means over people, by the names that `--json` prints: of the best method, of chance, of a random unmixing."""
    found: dict[str, float] = {}
    for place, case in PLACES.items():
        for score in SCORES:
            best = results.best(case, score)
            found[f"{place}_{score}"] = float(results.of(case, best, score).mean())
            found[f"{place}_{score}_chance"] = float(results.of(case, best, score, "chance").mean())
            found[f"{place}_{score}_random"] = float(results.of(case, "random", score).mean())
            found[f"{place}_{score}_known_mixing"] = float(results.of(case, "known mixing", score).mean())
        found[f"{place}_vaf"] = float(results.vaf_of(case, "nmf of envelopes").mean())
        found[f"{place}_vaf_random"] = float(results.vaf_of(case, "random synergies").mean())
        found[f"{place}_muscle_cosine_random_synergies"] = float(
            results.of(case, "random synergies", "muscle_cosine").mean()
        )
    found["vaf_rank_correlation_corr_h"] = vaf_knows(results, "corr_h")
    found["vaf_rank_correlation_muscle_cosine"] = vaf_knows(results, "muscle_cosine")
    return found


def findings(results: Results) -> list[Finding]:
    """Where VAF misleads, scores by electrodes and method, what noise, tension and components do, and orderings."""
    return [
        *_misleading(results),
        *(_scored(results, case, score) for case in FAMILIES["electrodes"] for score in SCORES),
        *_by_method(results),
        *_changes(results),
        *_orderings(results),
    ]


def _misleading(results: Results) -> list[Finding]:
    """VAF of found and of random synergies beside which muscles they are."""
    rows = []
    for case in FAMILIES["electrodes"]:
        vaf = {name: results.vaf_of(case, name) for name in ("nmf of envelopes", "random synergies")}
        right = results.of(case, "random synergies", "muscle_cosine")
        chance = results.of(case, "random synergies", "muscle_cosine", "chance").mean()
        fooled = vaf["random synergies"].mean() >= 0.9
        for name, value in vaf.items():
            rows.append(_finding("VAF", f"{case.montage}: {name}", value))
        told = f"{case.montage}: muscle cosine of the random synergies (chance {chance:.2f})"
        verdict = "VAF misleads: 0.9 or more for random synergies" if fooled else "random synergies fall below 0.9"
        rows.append(_finding("VAF", told, right, verdict=verdict))
    nmf = "nmf of envelopes"
    more = results.vaf_of(FAR, nmf) - results.vaf_of(NEAR, nmf)
    worse = results.of(FAR, nmf, "muscle_cosine").mean() < results.of(NEAR, nmf, "muscle_cosine").mean()
    fooled = worse and _sure(more) and more.mean() > 0
    said = "VAF misleads: higher where the muscle cosine is lower" if fooled else "VAF does not mislead here"
    rows.append(_finding("VAF", f"{nmf}: {FAR.montage} less {NEAR.montage}", more, verdict=said))
    same = results.vaf_of(FAR, "picard") - results.vaf_of(FAR, "random")
    rows.append(
        _finding("VAF", "distal4: ICA less random unmixing of the EMG", same, verdict="VAF misleads: it is the same")
    )
    for score in ("corr_h", "muscle_cosine"):
        rho = vaf_knows(results, score)
        verdict = "VAF knows" if rho > 0.7 else "VAF knows a little" if rho > 0.3 else "VAF does not know"
        rows.append(Finding(topic="VAF", what=f"rank correlation with {LABELS[score]}", ours=rho, verdict=verdict))
    return rows


def _scored(results: Results, case: Case, score: str, method: str = "") -> Finding:
    """One score of a method, of the best one unless named."""
    name = method or results.best(case, score)
    value, chance = results.of(case, name, score), results.of(case, name, score, "chance")
    random, known, channels = (results.of(case, rung, score) for rung in ("random", "known mixing", "channels"))
    digits = _DIGITS.get(score, 2)
    rungs = (("chance", chance), ("random", random), ("raw channels", channels), ("known mixing", known))
    beside = ", ".join(f"{rung} {values.mean():.{digits}f}" for rung, values in rungs)
    return _finding(
        LABELS[score] if not method else f"{LABELS[score]}, by method",
        f"{case.montage}: {name} ({beside})",
        value,
        unit="dB" if score == "sdr_db" else "",
        verdict=verdict(BETTER[score] * value, BETTER[score] * chance, BETTER[score] * random),
    )


def _by_method(results: Results) -> list[Finding]:
    return [
        _scored(results, case, score, name)
        for case in PLACES.values()
        for score in SCORES
        for name in FOUND
        if name != results.best(case, score) and np.isfinite(results.of(case, name, score)).all()
    ]


def _changes(results: Results) -> list[Finding]:
    """Of the best method, what the hardest of each family changes about the score of the electrodes as they are."""
    harder = {
        "10 µV of noise instead of 1": {"electrode_uv": 10.0},
        "40 % tension instead of none": {"cocontraction": 0.4},
        "smiles instead of all actions": {"task": "smiles"},
        "as many components as channels": {"components": None},
    }
    rows = []
    for what, change in harder.items():
        for case in PLACES.values():
            calm = replace(case, cocontraction=0.0) if "cocontraction" in change else case
            hard = replace(case, components=case.channels) if "components" in change else replace(case, **change)
            if not {calm, hard} <= set(results.cases):
                continue
            for score in SCORES:
                name = results.best(case, score)
                step = results.of(hard, name, score) - results.of(calm, name, score)
                effect = BETTER[score] * step
                said = "no sure difference" if not _sure(effect) else "better" if effect.mean() > 0 else "worse"
                unit = "dB" if score == "sdr_db" else ""
                told = f"{case.montage}: {LABELS[score]} of {name}, change"
                rows.append(_finding(what, told, step, unit=unit, verdict=said))
    return rows


def _orderings(results: Results) -> list[Finding]:
    """Differences between methods that others have reported, theirs on mixtures of envelopes without a conductor."""
    pairs = (
        ("picard", "pca", "PCA worst, ICA best (Tresch et al. 2006)", 1),
        ("nmf of envelopes", "picard", "alike (Tresch et al. 2006); NMF best (Rabbi et al. 2020)", 0),
        ("picard", "picard of envelopes", "takes envelopes (distal-EMG paper § 5), compares none", 0),
        ("picard", "channels", "", 0),
    )
    rows = []
    for case in PLACES.values():
        for first, second, paper, sign in pairs:
            for score in ("corr_h", "muscle_cosine"):
                step = results.of(case, first, score) - results.of(case, second, score)
                seen = int(np.sign(step.mean())) if _sure(step) else 0
                if sign:
                    said = "replicates" if seen == sign else "opposite" if seen == -sign else "does not replicate"
                else:
                    said = ("lower", "no sure difference", "higher")[seen + 1]
                told = f"{case.montage}: {LABELS[score]}, {first} less {second}"
                rows.append(_finding("orderings", told, step, paper=paper, verdict=said))
    return rows


def verdict(value: Array, chance: Array, random: Array) -> str:
    """What scores (P,), more being better, say beside chance and a random unmixing of the same people."""
    if not (_sure(value - chance) and (value - chance).mean() > 0):
        return "not surely better than chance"
    if not (_sure(value - random) and (value - random).mean() > 0):
        return "better than chance, not surely than random"
    return "better than chance and random"


def _sure(differences: Array) -> bool:
    low, high = interval(differences)
    return low > 0 or high < 0


def _finding(topic: str, what: str, values: Array, *, unit: str = "", paper: str = "", verdict: str = "") -> Finding:
    low, high = interval(values)
    return Finding(
        topic=topic, what=what, ours=float(values.mean()), low=low, high=high, unit=unit, paper=paper, verdict=verdict
    )


def _notes(results: Results) -> list[str]:
    near, far = (results.cases.index(case) for case in (NEAR, FAR))
    return [
        "Sources are single muscles: the strongest in the clean mixture, each channel in its own SDs, as many as "
        f"components. At the temples {100 * results.jaw[:, far].mean():.0f} % of them close the jaw, near the muscles "
        f"{100 * results.jaw[:, near].mean():.0f} %: what separates there is not the smile but the temporalis.",
        "corr(H) is the correlation of a component's envelope with the drive of a true muscle. Muscles that act "
        "together make it high for any unmixing: chance by a shift in time is beaten by all, the random unmixing is "
        "what counts. The same holds for SDR.",
        "A muscle's fibres do not reach all electrodes with one waveform. One mixing column holds "
        f"{results.share[:, near].mean():.2f} of a true muscle's power near the muscles and "
        f"{results.share[:, far].mean():.2f} at the temples; no unmixing without delays gets at the rest, and "
        "'known mixing' is the least-squares unmixing, no bound: it does not know the noise.",
        "What a component may be, for the muscle cosine, is any muscle with 1 % of the mixture's power or more. With "
        "all 48 allowed, four channels leave the answer open; the rule was made after seeing that in one person.",
        "Components are one fewer than channels, nine of nineteen for kuramoto, unless said otherwise: with as many as "
        "channels all variance is explained by any method, the random one too.",
        "VAF of EMG is about the mean, of envelopes about zero, as in the literature on synergies. 'Random synergies' "
        "are muscles mixed at random, seen through the same electrodes.",
        "The best of five methods is named after its mean over the same people, which flatters it a little.",
        "Noise is that of a wired active amplifier with the contact's noise varied; movement of cables and eyes, "
        "below the band of 20-450 Hz, is left out. Nobody chews or speaks.",
    ]


__all__ = ["figures", "findings", "run", "verdict"]
