"""When the replicates so far may decide, and how sure each look must be so that all together err rarely.

Looking several times at one interval errs more often than looking once. The confidence of each look is that
of a boundary of the Wang-Tsiatis family, |Z| <= c t^(D - 1/2) at the share t of all replicates, with D from
the settings, and c chosen so that Brownian motion crosses it at any look with the error allowed for all of
them (S. K. Wang and A. A. Tsiatis, Biometrics 43, 1987; C. Jennison and B. W. Turnbull, "Group Sequential
Methods", 2000, sections 2.7 and 9.2). The intervals made with these confidences are repeated ones: whichever
look stops the run, and for whatever reason, they hold the truth together with the confidence asked for. That
theirs are Student's quantiles in place of the normal ones is checked by simulation in the tests.
"""

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from kernelgate.settings import PerformanceSettings

Floats = NDArray[np.float64]

NODES = 96
"""Of Gauss and Legendre, for each look: the probabilities are exact to ten digits."""


@lru_cache
def confidences(looks: tuple[int, ...], confidence: float, shape: float) -> tuple[float, ...]:
    """Return the two-sided confidence of the interval at each look, given how many replicates each has.

    All of them together have the `confidence`; `shape` is the boundary's D.
    """
    shares = np.array(looks) / looks[-1]
    scale = optimize.brentq(lambda c: stay_probability(c * shares**shape, shares) - confidence, 0.5, 20.0)
    return tuple(float(2 * stats.norm.cdf(scale * share ** (shape - 0.5)) - 1) for share in shares)


def stay_probability(edges: Floats, times: Floats) -> float:
    """Return how likely Brownian motion lies between minus and plus each edge at each of the times.

    By integrating its density from one time to the next (Armitage, McPherson and Rowe, 1969).
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    points = edges[0] * nodes
    mass = stats.norm.pdf(points, scale=np.sqrt(times[0])) * edges[0] * weights
    for (before, now), edge in zip(itertools.pairwise(times), edges[1:], strict=True):
        moved = edge * nodes
        steps = stats.norm.pdf(moved[:, None] - points[None, :], scale=np.sqrt(now - before))
        points, mass = moved, (steps @ mass) * edge * weights
    return float(mass.sum())


def confidence_at(settings: PerformanceSettings, replicates: int) -> float:
    """Return the confidence of an interval of so many replicates: that of the last look they reach."""
    reached = [place for place, look in enumerate(settings.looks) if look <= replicates]
    every = confidences(settings.looks, settings.confidence, settings.boundary_shape)
    return every[reached[-1] if reached else 0]
