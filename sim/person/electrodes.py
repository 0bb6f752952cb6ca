"""Where electrodes are worn and what is recorded from them: the montages of the literature, and your own.

`montage("proximal7")` gives one of `MONTAGES`, or reads your file; `free` makes one from points. Places that a
paper describes by muscle or action unit are put there on the canonical face by hand, *unknown* to some 5 mm;
`Montage.shifted` shows what that matters.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import mesh
from ..errors import InputError, VocabularyError
from ..facs import Muscle, Side
from . import chart
from .anatomy import ANATOMY
from .contacts import Channel, Contact, Montage

__all__ = ["MONTAGES", "Channel", "Contact", "Montage", "free", "front", "montage"]

Array = NDArray[np.floating]
Point = tuple[float, float]

FREE_TOLERANCE_MM = 15.0
"""How far a point may be from the mean head's skin and still be meant to lie on it."""

_FAR_M = 1.0

_M, _R, _L = Muscle, Side.RIGHT, Side.LEFT
_MASTOID = (150.0, -8.0)


def montage(name: str) -> Montage:
    """One of `MONTAGES`, or the montage in a file whose name ends in .json.

    Raises `VocabularyError` for a name that is neither, listing the names.
    """
    if name.lower().endswith(".json"):
        return Montage.load(name)
    try:
        return _built(name.strip().lower().replace("_", "-"))
    except KeyError:
        listed = ", ".join(MONTAGES)
        raise VocabularyError(f"unknown montage {name!r}; allowed: {listed}, or a file ending in .json") from None


def free(
    name: str,
    sites: Mapping[str, int | Sequence[float] | ArrayLike],
    channels: Mapping[str, tuple[str, ...]] | None = None,
    *,
    reference: str = "",
    radius_mm: float = 2.5,
    rate_hz: float = 1000.0,
) -> Montage:
    """A montage at any places.

    sites: for each contact a vertex of the mesh (int), chart coordinates (s_mm, y_mm), or a point (3,) in metres
    in the face frame. channels: for each channel its plus contact and, if any, its minus contacts; left out, each
    contact but `reference` is a channel against `reference`, or against infinity if that is empty too.

    Raises `InputError` for points off the head or not finite, `VocabularyError` for names that do not exist.
    """
    contacts = tuple(Contact(site, *_placed(site, place), radius_mm) for site, place in sites.items())
    if reference and reference not in sites:
        raise VocabularyError(f"montage {name!r}: no contact {reference!r} to refer to; there is {', '.join(sites)}")
    minus = (reference,) if reference else ()
    if channels is None:
        made = tuple(Channel(site, (site,), minus) for site in sites if site != reference)
    else:
        made = tuple(Channel(key, names[:1], names[1:] or minus) for key, names in channels.items())
    return Montage(
        name=name,
        contacts=contacts,
        channels=made,
        reference=reference or ("each channel's own" if channels else "a point at infinity"),
        source="free coordinates",
        rate_hz=rate_hz,
    )


def front(x_mm: float, y_mm: float) -> Point:
    """Chart coordinates (s_mm, y_mm) of the skin that is seen at (x_mm, y_mm) from the front.

    Raises `InputError` beside the face.
    """
    sought = 1e-3 * np.array([x_mm, y_mm], float)
    first, second, third = (mesh.REST[mesh.ALL_TRIANGLES[:, corner]] for corner in range(3))
    along, across, to = second[:, :2] - first[:, :2], third[:, :2] - first[:, :2], sought - first[:, :2]
    area = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    u = (to[:, 0] * across[:, 1] - to[:, 1] * across[:, 0]) / area
    v = (along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]) / area
    depth = first[:, 2] + u * (second[:, 2] - first[:, 2]) + v * (third[:, 2] - first[:, 2])
    hit = (np.minimum(u, v) >= -1e-9) & (u + v <= 1 + 1e-9)
    if not hit.any():
        raise InputError(f"no face is seen at x = {x_mm}, y = {y_mm} mm from the front; give chart coordinates instead")
    s_mm, _ = chart.unroll([*sought, depth[hit].max()])
    return float(s_mm), float(y_mm)


def _placed(name: str, place: int | Sequence[float] | ArrayLike) -> Point:
    if isinstance(place, int | np.integer):
        if not 0 <= place < mesh.VERTEX_COUNT:
            raise InputError(f"contact {name!r}: vertex must be 0-{mesh.VERTEX_COUNT - 1}, got {place}")
        place = mesh.REST[place]
    point = np.asarray(place, float)
    if point.shape not in ((2,), (3,)) or not np.isfinite(point).all():
        raise InputError(f"contact {name!r}: need a vertex, (s, y) in mm or (x, y, z) in metres, finite; got {place!r}")
    if point.shape == (3,):
        on_chart = chart.unroll(point.clip(-_FAR_M, _FAR_M))
        off_mm = 1e3 * float(np.linalg.norm(chart.surface(on_chart) - point))
        if off_mm > FREE_TOLERANCE_MM:
            raise InputError(
                f"contact {name!r} is {off_mm:.0f} mm off the head at {point} m; at most {FREE_TOLERANCE_MM:.0f} mm. "
                "Three coordinates are metres, +x the subject's left, +y up, +z forward"
            )
        point = on_chart
    return float(point[0]), float(point[1])


def _along(muscle: Muscle, of: Side, place: Point) -> Array:
    """Unit direction of a muscle's fibres next to a place, (2,)."""
    fibres = next(entry.fibres for entry in ANATOMY if entry.muscle is muscle)
    nearest, direction = np.inf, np.array([1.0, 0.0])
    for strip in range(len(fibres.strips)):
        course = fibres.course_mm(strip, of)
        for start, end in pairwise(course):
            step = end - start
            share = np.clip((np.asarray(place) - start) @ step / (step @ step), 0, 1)
            distance = np.linalg.norm(start + share * step - place)
            if distance < nearest:
                nearest, direction = distance, step / np.linalg.norm(step)
    return direction


def _pair(name: str, muscle: Muscle, of: Side, centre: Point, apart_mm: float, radius_mm: float):
    """Two contacts about a centre, along the fibres, and the channel between them; the first is the upper."""
    half = 0.5 * apart_mm * _along(muscle, of, centre)
    half = half if half[1] >= 0 else -half
    contacts = tuple(
        Contact(f"{name}{mark}", float(centre[0] + sign * half[0]), float(centre[1] + sign * half[1]), radius_mm)
        for mark, sign in (("+", 1.0), ("-", -1.0))
    )
    return contacts, Channel(name, (contacts[0].name,), (contacts[1].name,), muscle, of)


def _bipolar(sites: Sequence[tuple[str, Muscle, Side, Point]], apart_mm: float, radius_mm: float, cased: bool):
    pairs = [_pair(name, muscle, of, centre, apart_mm, radius_mm) for name, muscle, of, centre in sites]
    contacts = tuple(contact for both, _ in pairs for contact in both)
    housings = tuple((both[0].name, both[1].name) for both, _ in pairs) if cased else ()
    return {"contacts": contacts, "channels": tuple(channel for _, channel in pairs), "housings": housings}


def _monopolar(
    sites: Mapping[str, Point], targets: Mapping[str, tuple[Muscle, Side]], refs: Mapping[str, Point], radius_mm: float
):
    places = {**sites, **refs}
    contacts = tuple(Contact(name, *place, radius_mm) for name, place in places.items())
    channels = tuple(Channel(name, (name,), tuple(refs), *targets.get(name, (None, None))) for name in sites)
    return {"contacts": contacts, "channels": channels}


def _proximal7() -> Montage:
    sites = (
        ("IF", _M.FRONTALIS_MEDIALIS, _R, (-13.0, 70.0)),
        ("OF", _M.FRONTALIS_LATERALIS, _R, (-38.0, 72.0)),
        ("CS", _M.CORRUGATOR, _R, (-19.5, 50.5)),
        ("LLSAN", _M.LLSAN, _R, (-12.5, -4.0)),
        ("ZM", _M.ZYGOMATICUS_MAJOR, _R, (-47.5, -23.5)),
        ("DAO", _M.DEPRESSOR_ANGULI_ORIS, _R, (-34.5, -70.0)),
        ("Me", _M.MENTALIS, _R, (-8.0, -81.0)),
    )
    return Montage(
        name="proximal7",
        **_bipolar(sites, apart_mm=10.0, radius_mm=1.5, cased=True),
        rate_hz=1024.0,
        reference="bipolar, each sensor's own",
        source="Shu et al., skin-musculoskeletal model of facial expressions, § 2.2: bipolar Trigno Mini sensors, "
        "1,024 Hz, sites by palpation after Fridlund & Cacioppo 1986. 10 mm between bars is the maker's usual value, "
        "not verified. Sides differed between people, IF with OF and ZM with DAO on one side: use mirrored()",
    )


def _epidermal10() -> Montage:
    sites = {
        "AU1": (-12.0, 66.0), "AU2": (-38.0, 68.0), "AU4": (-16.0, 50.0), "AU9": (-13.0, 0.0),
        "AU10": (-22.0, -20.0), "AU26": (-80.0, -60.0), "AU12": (-46.0, -26.0), "AU23": (-20.0, -36.0),
        "AU17": (-7.0, -80.0), "AU15": (-33.0, -64.0),
    }  # fmt: skip
    muscles = (
        _M.FRONTALIS_MEDIALIS, _M.FRONTALIS_LATERALIS, _M.CORRUGATOR, _M.LLSAN, _M.LEVATOR_LABII, _M.MASSETER,
        _M.ZYGOMATICUS_MAJOR, _M.ORBICULARIS_ORIS, _M.MENTALIS, _M.DEPRESSOR_ANGULI_ORIS,
    )  # fmt: skip
    targets = {name: (muscle, _R) for name, muscle in zip(sites, muscles, strict=True)}
    return Montage(
        name="epidermal10",
        **_monopolar(sites, targets, {"behind left ear": _MASTOID}, radius_mm=5.0),
        rate_hz=1000.0,
        reference="behind the left ear (mastoid); ground behind the right",
        source="Epidermal electrodes for expression recognition (FER-EE), § 2.1: ten electrodes at the action units' "
        "sites, reference behind one ear, ground behind the other, 1,000 Hz. Which side, and the electrodes' effective "
        "radius (a serpentine), are unknown; right and 5 mm are chosen",
    )


def _distal4(name: str, upper: Point, lower: Point, tags: tuple[str, str], source: str) -> Montage:
    contacts, channels = [], []
    for of, sign in ((_R, -1.0), (_L, 1.0)):
        reference = f"{of} mastoid"
        places = {f"{of} {tags[0]}": upper, f"{of} {tags[1]}": lower}
        contacts += [Contact(key, sign * s, y, 4.0) for key, (s, y) in {**places, reference: _MASTOID}.items()]
        channels += [Channel(key, (key,), (reference,), None, of) for key in places]
    housings = tuple((f"{of} {tags[0]}", f"{of} {tags[1]}") for of in (_R, _L))
    return Montage(
        name=name,
        contacts=tuple(contacts),
        channels=tuple(channels),
        housings=housings,
        rate_hz=1000.0,
        reference="the mastoid of the same side (assumed; the paper names none)",
        source="Distal EMG of action units, § 4.3: four dry active channels on both temples at eye level, 1 kHz. "
        + source,
    )


def _distal4_apart() -> Montage:
    return _distal4(
        "distal4",
        (72.0, 40.0),
        (76.0, 6.0),
        ("upper", "lower"),
        "The paper gives neither heights nor derivation. Chosen here: one contact above eye level and one at the "
        "zygomatic arch, since two heights separate zygomaticus from orbicularis oculi best (condition number of the "
        "mixing of four sources 1.7, against 3.9 for two contacts at eye level and 12 for two vertical pairs)",
    )


def _distal4_eye_level() -> Montage:
    return _distal4(
        "distal4-eye-level",
        (72.0, 27.0),
        (97.0, 27.0),
        ("front", "back"),
        "Strictly at eye level, 25 mm apart; the smile is 3-6 dB weaker there than in distal4",
    )


# Centres seen from the front, mm; the right is −x.
_FRIDLUND = {
    "medial frontalis": (_M.FRONTALIS_MEDIALIS, (10.0, 65.0)),
    "lateral frontalis": (_M.FRONTALIS_LATERALIS, (32.0, 60.0)),
    "corrugator": (_M.CORRUGATOR, (22.0, 52.0)),
    "depressor supercilii": (_M.DEPRESSOR_SUPERCILII, (9.0, 49.0)),
    "levator labii": (_M.LEVATOR_LABII, (28.0, -12.0)),
    "orbicularis oris": (_M.ORBICULARIS_ORIS, (21.0, -52.0)),
    "depressor anguli oris": (_M.DEPRESSOR_ANGULI_ORIS, (26.0, -69.0)),
    "mentalis": (_M.MENTALIS, (6.0, -65.0)),
    "orbicularis oculi": (_M.ORBICULARIS_OCULI_ORBITAL, (42.0, 10.0)),
    "zygomaticus major": (_M.ZYGOMATICUS_MAJOR, (53.0, -23.0)),
}
_KURAMOTO: Mapping[str, Point | None] = {
    "E1": (-20, 66), "E2": (20, 66), "E3": (-32, 56), "E4": (32, 56), "E5": (-44, 13), "E6": (44, 13),
    "E7": (-25, -9), "E8": (25, -9), "E9": (-20, -67), "E10": (20, -67), "E13": (-63, 40), "E14": (63, 40),
    "E15": (-58, 6), "E16": (58, 6), "E17": None, "E18": None, "E19": (0, 47), "E20": (0, -26), "E24": (0, 26),
}  # fmt: skip
_MASSETER_BELLY = (90.0, -50.0)  # on the chart; drawn from the front it lies on the outline
_ELECTROMYOGRAM = "places on the canonical face after the electromyogram package (MIT licence), "


def _fridlund() -> Montage:
    sites = []
    for muscle_name, (muscle, (x_mm, y_mm)) in _FRIDLUND.items():
        for of, sign in ((_R, -1.0), (_L, 1.0)):
            sites.append((f"{muscle_name} {of}", muscle, of, front(sign * x_mm, y_mm)))
    for of, sign in ((_R, -1.0), (_L, 1.0)):
        sites.append((f"masseter {of}", _M.MASSETER, of, (sign * _MASSETER_BELLY[0], _MASSETER_BELLY[1])))
    return Montage(
        name="fridlund",
        **_bipolar(sites, apart_mm=10.0, radius_mm=2.0, cased=False),
        rate_hz=1000.0,
        reference="bipolar, 10 mm along the fibres",
        source="Fridlund & Cacioppo, Guidelines for human electromyographic research, 1986; "
        + _ELECTROMYOGRAM
        + "both "
        "sides; masseter, on the outline of the face there, is put on the muscle's belly",
    )


def _kuramoto() -> Montage:
    bellies = {"E17": (-_MASSETER_BELLY[0], _MASSETER_BELLY[1]), "E18": _MASSETER_BELLY}
    sites = {name: front(*place) if place else bellies[name] for name, place in _KURAMOTO.items()}
    ears = {"right earlobe": (-132.0, -25.0), "left earlobe": (132.0, -25.0)}
    return Montage(
        name="kuramoto",
        **_monopolar(sites, {}, ears, radius_mm=2.0),
        rate_hz=1000.0,
        reference="linked earlobes (assumed; not verified in the paper)",
        source="Kuramoto et al., Neuropsychopharmacology Reports 2019: monopolar, spread like EEG; "
        + _ELECTROMYOGRAM
        + "where 19 are given; E16 there stands 1 mm off its mirror image, here on it",
    )


# Words of the data's description, and the place on the canonical face of the action unit named beside them.
_KOLODZIEJ: Mapping[str, tuple[Point | None, Muscle]] = {
    "above eye": ((-32.0, 60.0), _M.FRONTALIS_LATERALIS),  # AU2
    "below eye": ((-42.0, 10.0), _M.ORBICULARIS_OCULI_ORBITAL),  # AU6
    "beside eye": ((-58.0, 27.0), _M.ORBICULARIS_OCULI_ORBITAL),  # lateral canthus; no unit has its site there
    "forehead": ((-10.0, 65.0), _M.FRONTALIS_MEDIALIS),  # AU1
    "beside mouth": ((-40.0, -35.0), _M.BUCCINATOR),  # AU14
    "above mouth": ((-28.0, -12.0), _M.LLSAN),  # AU9
    "cheek": ((-53.0, -23.0), _M.ZYGOMATICUS_MAJOR),  # AU12
    "jaw": (None, _M.MASSETER),  # AU26, whose muscles relax
}


def _kolodziej8() -> Montage:
    belly = (-_MASSETER_BELLY[0], _MASSETER_BELLY[1])
    sites = {name: front(*place) if place else belly for name, (place, _) in _KOLODZIEJ.items()}
    targets = {name: (muscle, _R) for name, (_, muscle) in _KOLODZIEJ.items()}
    return Montage(
        name="kolodziej8",
        **_monopolar(sites, targets, {"earlobe": (-132.0, -25.0)}, radius_mm=4.0),
        rate_hz=4800.0,
        reference="the earlobe of the same side (assumed; the source names one reference and no place)",
        source="Kolodziej, Majkowski & Jurczak, Sensors 2024, 24, 4785, and its data's description: active g.LADYBIRD "
        "electrodes after FACS, g.USBamp, one reference, 4,800 Hz, power of 0.1-1,000 Hz. Sites are given in words; "
        + _ELECTROMYOGRAM
        + "by action unit. The side is unknown, right is chosen",
    )


_BUILDERS: Mapping[str, Callable[[], Montage]] = MappingProxyType(
    {
        "proximal7": _proximal7,
        "epidermal10": _epidermal10,
        "distal4": _distal4_apart,
        "distal4-eye-level": _distal4_eye_level,
        "fridlund": _fridlund,
        "kuramoto": _kuramoto,
        "kolodziej8": _kolodziej8,
    }
)
MONTAGES: tuple[str, ...] = tuple(_BUILDERS)
"""Names that `montage` knows."""


@cache
def _built(name: str) -> Montage:
    return _BUILDERS[name]()
