"""Muscles of the face: where they run, what they pull on, what their electricity is made of.

Everything is written for the subject's right side; the left is its mirror image. Places on the skin are
(lateral, y) mm on the chart (`chart`), vertices are those of the canonical mesh.

How sure the numbers are. Courses and attachments: textbook anatomy placed by hand on the canonical face,
*unknown* to a few millimetres. Muscle and fibre lengths, 29-65 mm, and eccentric endplate zones: Happak et al.
1997. Fibre diameter, about half of a limb's (orbicularis oculi 13-18 µm): J. Neurol. Sci. 1988 series.
Conduction velocity: *no trustworthy facial value*; 2.5 m/s (range 2-4) gives the spectra of real facial
recordings. Numbers of fibres and motor units: *unknown*; 15,000 fibres in 60 units give on-muscle amplitudes
of 70-130 µV at full drive, since amplitude goes with fibres per unit times the root of units. Forces: *no
source found*; 1-3 N with a skin of 30 kPa give published displacements (zygomaticus major 11 mm, brow 8 mm).
The pterygoids lie too deep to be seen by an electrode; digastric opens and masseter and temporalis close.
"""

import numpy as np

from .. import mesh
from ..errors import VocabularyError
from ..facs import PAIRED, Muscle, Side, muscle, side
from .muscle_parts import Fibres, Line, MuscleAnatomy, Ring


def _arc(centre: tuple[float, float], radii: tuple[float, float], start_deg: float, end_deg: float):
    """A strip along an ellipse, angles from the lateral direction, up positive."""
    angle = np.radians(np.linspace(start_deg, end_deg, 17))
    points = np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], -1)
    return tuple((float(lateral), float(y)) for lateral, y in points)


_JAW = {"count": 20_000, "diameter_um": 40.0, "conduction_m_s": 4.0}
_CORNER = (61, 185, 146, 57, 186, 76)
_M = Muscle

ANATOMY: tuple[MuscleAnatomy, ...] = (
    MuscleAnatomy(
        muscle=_M.FRONTALIS_MEDIALIS,
        fibres=Fibres(strips=(((15, 92), (12, 52)),), width_mm=20, depth_mm=(1, 3)),
        pulls=(
            Line(
                insertion=(107, 66, 55, 65, 108, 69),
                origin_vertex=109,
                origin_offset_mm=(3, 15, -8),
                max_force_n=3.0,
                shortening_m=0.020,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.FRONTALIS_LATERALIS,
        fibres=Fibres(strips=(((42, 92), (36, 55)),), width_mm=24, depth_mm=(1, 3)),
        pulls=(
            Line(
                insertion=(105, 63, 70, 53, 46, 104),
                origin_vertex=103,
                origin_offset_mm=(0, 15, -8),
                max_force_n=2.5,
                shortening_m=0.020,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.CORRUGATOR,
        fibres=Fibres(strips=(((9, 46), (33, 56)),), width_mm=6, depth_mm=(2, 4)),
        pulls=(
            Line(
                insertion=(66, 65, 107, 55, 52),
                origin_vertex=168,
                origin_offset_mm=(-6, -2, -3),
                max_force_n=2.0,
                shortening_m=0.018,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.DEPRESSOR_SUPERCILII,
        fibres=Fibres(strips=(((10, 26), (12, 50)),), width_mm=5, depth_mm=(1, 3)),
        pulls=(
            Line(
                insertion=(107, 55, 65),
                origin_vertex=193,
                origin_offset_mm=(0, 2, -3),
                max_force_n=1.0,
                shortening_m=0.012,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.PROCERUS,
        fibres=Fibres(strips=(((4, 32), (4, 54)),), width_mm=6, depth_mm=(1, 2.5)),
        pulls=(
            Line(
                insertion=(107, 55, 9, 108, 65),
                origin_vertex=6,
                origin_offset_mm=(-3, -5, -3),
                max_force_n=2.0,
                shortening_m=0.014,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.ORBICULARIS_OCULI_ORBITAL,
        fibres=Fibres(
            strips=(_arc((33, 27), (25, 21), 10, 170), _arc((33, 27), (25, 24), -10, -170)),
            width_mm=9,
            depth_mm=(0.5, 2),
        ),
        pulls=(
            Ring(
                vertices=(222, 223, 224, 225, 113, 226, 31, 228, 229, 230, 231, 232),
                weights=(0.5, 0.6, 0.7, 0.8, 1, 1.3, 1.3, 1.3, 1.3, 1.2, 1, 0.7),
                centre=mesh.EYE_RIGHT,
                max_force_n=2.5,
                shortening_m=0.012,
            ),
            Ring(  # the malar part, which lifts the cheek
                vertices=(50, 101, 117, 118, 119, 111, 36),
                weights=(1.2, 1.2, 1, 1, 1, 0.7, 0.6),
                centre=mesh.EYE_RIGHT,
                centre_offset_mm=(0, -4, 0),
                max_force_n=2.5,
                shortening_m=0.016,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.ORBICULARIS_OCULI_PALPEBRAL,
        fibres=Fibres(
            strips=(_arc((33, 27), (14, 9), 5, 175), _arc((33, 27), (14, 9), -5, -175)),
            width_mm=6,
            depth_mm=(0.5, 1.5),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.LEVATOR_PALPEBRAE,  # its belly lies within the orbit
        fibres=Fibres(strips=(((30, 44), (33, 30)),), width_mm=12, depth_mm=(9, 11)),
    ),
    MuscleAnatomy(
        muscle=_M.LLSAN,
        fibres=Fibres(strips=(((11, 18), (14, -28)),), width_mm=6, depth_mm=(1, 3)),
        pulls=(
            Line(
                insertion=(129, 49, 48, 102, 203, 165),
                origin_vertex=193,
                origin_offset_mm=(1, 2, -2),
                max_force_n=1.7,
                shortening_m=0.014,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.LEVATOR_LABII,
        fibres=Fibres(strips=(((30, 10), (20, -32)),), width_mm=10, depth_mm=(2, 4)),
        pulls=(
            Line(
                insertion=(37, 39, 40, 72, 73, 74, 38, 41, 42, 82, 81),
                origin_vertex=230,
                origin_offset_mm=(2, -1, -4),
                max_force_n=1.2,
                shortening_m=0.014,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.LEVATOR_ANGULI_ORIS,
        fibres=Fibres(strips=(((26, -8), (28, -41)),), width_mm=8, depth_mm=(4, 7)),
        pulls=(
            Line(
                insertion=(61, 185, 57, 186, 76),
                origin_vertex=101,
                origin_offset_mm=(10, -5, -6),
                max_force_n=1.2,
                shortening_m=0.014,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.ZYGOMATICUS_MINOR,
        fibres=Fibres(strips=(((54, 2), (24, -34)),), width_mm=6, depth_mm=(1, 3)),
        pulls=(
            Line(
                insertion=(40, 39, 185, 92, 186),
                origin_vertex=117,
                origin_offset_mm=(3, 0, -4),
                max_force_n=1.0,
                shortening_m=0.018,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.ZYGOMATICUS_MAJOR,
        fibres=Fibres(strips=(((66, -6), (29, -42)),), width_mm=9, depth_mm=(1.5, 4)),
        pulls=(
            Line(
                insertion=_CORNER,
                origin_vertex=116,
                origin_offset_mm=(2, 2, -4),
                max_force_n=2.5,
                shortening_m=0.022,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.RISORIUS,
        fibres=Fibres(strips=(((68, -46), (30, -44)),), width_mm=8, depth_mm=(0.5, 2)),
        pulls=(
            Line(
                insertion=(61, 57, 146, 43, 76),
                origin_vertex=215,
                origin_offset_mm=(2, 4, -2),
                max_force_n=1.2,
                shortening_m=0.018,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.BUCCINATOR,
        fibres=Fibres(strips=(((66, -38), (30, -44)),), width_mm=18, depth_mm=(7, 10)),
        pulls=(
            Line(
                insertion=(61, 57, 76, 185, 146),
                origin_vertex=213,
                origin_offset_mm=(6, 6, -30),
                max_force_n=1.2,
                shortening_m=0.014,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.DEPRESSOR_ANGULI_ORIS,
        fibres=Fibres(strips=(((38, -84), (28, -47)),), width_mm=12, depth_mm=(0.5, 2.5)),
        pulls=(
            Line(
                insertion=(61, 146, 57, 43, 76),
                origin_vertex=150,
                origin_offset_mm=(6, 3, -3),
                max_force_n=1.5,
                shortening_m=0.016,
                on_jaw=True,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.DEPRESSOR_LABII_INFERIORIS,
        fibres=Fibres(strips=(((22, -86), (15, -56)),), width_mm=10, depth_mm=(1.5, 3.5)),
        pulls=(
            Line(
                insertion=(84, 181, 91, 83, 182, 180),
                origin_vertex=149,
                origin_offset_mm=(7, 5, -3),
                max_force_n=1.0,
                shortening_m=0.014,
                on_jaw=True,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.MENTALIS,
        fibres=Fibres(strips=(((6, -66), (9, -95)),), width_mm=9, depth_mm=(1.5, 5)),
        pulls=(
            Line(
                insertion=(199, 208, 175, 171),
                origin_vertex=18,
                origin_offset_mm=(-5, 3, -12),
                max_force_n=2.0,
                shortening_m=0.012,
                on_jaw=True,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.ORBICULARIS_ORIS,
        fibres=Fibres(
            strips=(_arc((0, -43), (27, 11), 15, 90), _arc((0, -43), (27, 13), -15, -90)), width_mm=7, depth_mm=(1, 4)
        ),
        pulls=(
            Ring(  # the marginal part tightens and rolls the lips in
                vertices=(37, 39, 40, 91, 181, 84, 82, 81, 178, 87),
                weights=(1.0,) * 10,
                centre=(13, 14),
                centre_offset_mm=(0, 0, -10),
                axial=-0.3,
                max_force_n=1.5,
                shortening_m=0.008,
                wrap=0.0,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.INCISIVI_LABII,
        fibres=Fibres(strips=(((9, -29), (27, -40)), ((9, -58), (27, -46))), width_mm=5, depth_mm=(2, 4)),
        pulls=(
            Ring(  # draws the corners in and forward
                vertices=(37, 39, 40, 185, 61, 146, 91, 181, 84, 76, 57),
                weights=(0.5, 0.5, 0.8, 1, 1.5, 1, 0.8, 0.5, 0.5, 1.2, 1.2),
                centre=(0, 17),
                axial=0.2,
                max_force_n=2.0,
                shortening_m=0.016,
                wrap=0.3,
            ),
            Ring(  # and the lips between them forward
                vertices=(0, 37, 39, 11, 72, 12, 38, 13, 82, 17, 84, 181, 16, 85, 15, 86, 14, 87),
                weights=(0.5, 1, 1, 0.5, 1, 0.5, 1, 0.3, 0.8, 0.5, 1, 1, 0.5, 1, 0.5, 1, 0.3, 0.8),
                centre=(13, 14),
                axial=2.0,
                max_force_n=0.8,
                shortening_m=0.016,
                wrap=0.3,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.PLATYSMA,
        fibres=Fibres(strips=(((52, -130), (38, -72)),), width_mm=30, depth_mm=(0.5, 1.5)),
        pulls=(
            Line(
                insertion=(43, 202, 204, 211, 169, 150, 136),
                origin_vertex=172,
                origin_offset_mm=(4, -78, -14),
                max_force_n=3.0,
                shortening_m=0.018,
            ),
        ),
    ),
    MuscleAnatomy(
        muscle=_M.MASSETER,
        fibres=Fibres(strips=(((84, -10), (92, -66)),), width_mm=28, depth_mm=(3, 11), **_JAW),
        motor_units=100,
        jaw=True,
    ),
    MuscleAnatomy(
        muscle=_M.TEMPORALIS,
        fibres=Fibres(strips=(((84, 62), (88, 4)), ((112, 60), (92, 4))), width_mm=26, depth_mm=(4, 10), **_JAW),
        motor_units=100,
        jaw=True,
    ),
    MuscleAnatomy(
        muscle=_M.DIGASTRIC,
        fibres=Fibres(strips=(((6, -100), (20, -128)),), width_mm=10, depth_mm=(2, 6), count=15_000, diameter_um=30.0),
        jaw=True,
    ),
)
"""All muscles, forehead to neck."""

MUSCLES: tuple[tuple[Muscle, Side], ...] = tuple((entry.muscle, of) for entry in ANATOMY for of in PAIRED)
"""Order of every excitation and activation axis: each muscle's right, then its left; 48."""
MUSCLE_NAMES: tuple[str, ...] = tuple(f"{name}, {of}" for name, of in MUSCLES)
MIRRORED = np.arange(len(MUSCLES)) ^ 1
"""Index of the same muscle on the other side, (48,)."""
_INDEX = {pair: index for index, pair in enumerate(MUSCLES)}


def muscle_index(name: str | Muscle, of: str | Side) -> int:
    """Place of a muscle of one side in `MUSCLES`. Raises `VocabularyError` listing what there is."""
    pair = muscle(name), side(of)
    if pair not in _INDEX:
        listed = ", ".join(entry.muscle for entry in ANATOMY)
        raise VocabularyError(f"no muscle {name!r} on side {of!r}; muscles: {listed}; sides: right, left")
    return _INDEX[pair]
