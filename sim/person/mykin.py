"""Closed forms of the skin-musculoskeletal paper: how far one or two Mykin muscles move one point of skin.

A Mykin muscle pulls with F = (k₀ + k₁ u)(l₀ + l₁ u − Δl), the skin resists with K_H Δl (paper § 2.6.1, equations 6
and 7). `mechanics` solves the same balance for all muscles on one sheet; with one muscle, or two along one line, it
must agree with these formulas, where K_H is the reciprocal of the skin's compliance at the muscle's insertion.

Work with NumPy and JAX arrays alike. SI units; u in 0…1.
"""

from typing import Any


def single_muscle_m(u: Any, k0: Any, k1: Any, l0: Any, l1: Any, skin_n_m: Any) -> Any:
    """Displacement of a point with one muscle, equation 10: k l / (K_H + k), k = k₀ + k₁ u, l = l₀ + l₁ u."""
    stiffness = k0 + k1 * u
    return stiffness * (l0 + l1 * u) / (skin_n_m + stiffness)


def single_muscle_above_tone_m(u: Any, k0: Any, k1: Any, l0: Any, l1: Any, skin_n_m: Any) -> Any:
    """Equation 10 counted from the face at rest, where tone k₀ l₀ is already balanced by the skin.

    (k l − k₀ l₀) / (K_H + k): zero at u = 0 for any l₀. Equal to equation 10 minus its value at u = 0 once l₀ is
    counted from the rest pose, l₀ → l₀ − Δl(0).
    """
    stiffness = k0 + k1 * u
    return (stiffness * (l0 + l1 * u) - k0 * l0) / (skin_n_m + stiffness)


def several_muscles_m(
    u: Any, k0: Any, k1: Any, l0: Any, l1: Any, skin_n_m: Any, projection: Any, lever: Any, tone: bool = False
) -> Any:
    """Displacement of a point with several muscles along one line, equation 14 (there for two).

    Σ aᵢ kᵢ lᵢ / (K_H + Σ aᵢ λᵢ kᵢ), sums over the last axis. projection a: force on the line per force of the
    muscle; lever λ: shortening of the muscle per displacement of the point. Where all pull at one point, both are
    the cosine to the line. tone: count from the face at rest, as in `single_muscle_above_tone_m`.
    """
    stiffness = k0 + k1 * u
    force = stiffness * (l0 + l1 * u) - (k0 * l0 if tone else 0.0)
    return (projection * force).sum(-1) / (skin_n_m + (projection * lever * stiffness).sum(-1))
