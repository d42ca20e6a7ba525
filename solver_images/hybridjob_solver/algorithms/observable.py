"""Estimating an observable from samples, with as few circuits as its terms allow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hybridjob_solver.circuits.gates import Gate
from hybridjob_solver.circuits.model import Circuit, measure_all
from hybridjob_solver.encode.qubo import Bits, Ints

Terms = list[tuple[str, float]]

_TO_Z_BASIS = {"X": ("h",), "Y": ("sdg", "h")}


@dataclass
class MeasurementGroup:
    """Terms that one circuit measures: on every qubit they name the same Pauli, or none."""

    basis: list[str]
    terms: Terms

    def admits(self, pauli: str) -> bool:
        return all("I" in (a, b) or a == b for a, b in zip(self.basis, pauli, strict=True))

    def add(self, pauli: str, coefficient: float) -> None:
        self.basis = [b if a == "I" else a for a, b in zip(self.basis, pauli, strict=True)]
        self.terms.append((pauli, coefficient))

    def circuit(self, preparation: Circuit) -> Circuit:
        """Prepare the state, turn each qubit to the basis that is measured, measure all."""
        turns = [Gate(name, (), (q,)) for q, letter in enumerate(self.basis) for name in _TO_Z_BASIS.get(letter, ())]
        n = preparation.qubits
        return Circuit(n, n, (*preparation.operations, *turns, *measure_all(n)))

    def estimate(self, bits: Bits, counts: Ints) -> tuple[float, float]:
        """The mean over the shots of the terms' sum, and the variance of that mean.

        All terms come from the same shots, so their covariance is in the variance.
        """
        values = np.zeros(len(bits))
        for pauli, coefficient in self.terms:
            support = [qubit for qubit, letter in enumerate(pauli) if letter != "I"]
            values += coefficient * (1.0 - 2.0 * (bits[:, support].sum(axis=1) % 2))
        shots = int(counts.sum())
        mean = float(values @ counts / shots)
        return mean, float(np.square(values - mean) @ counts / max(shots - 1, 1) / shots)


def group(observable: Iterable[tuple[str, float]]) -> tuple[float, Sequence[MeasurementGroup]]:
    """The observable's constant, and groups of its other terms that commute qubit by qubit.

    Greedy, the largest coefficients first, as in V. Verteletskyi et al., J. Chem. Phys. 152, 124114 (2020).
    """
    merged: dict[str, float] = {}
    for pauli, coefficient in observable:
        merged[pauli] = merged.get(pauli, 0.0) + coefficient
    constant = 0.0
    groups: list[MeasurementGroup] = []
    for pauli, coefficient in sorted(merged.items(), key=lambda term: (-abs(term[1]), term[0])):
        if set(pauli) == {"I"}:
            constant = coefficient
            continue
        if coefficient == 0:
            continue
        home = next((candidate for candidate in groups if candidate.admits(pauli)), None)
        if home is None:
            home = MeasurementGroup(["I"] * len(pauli), [])
            groups.append(home)
        home.add(pauli, coefficient)
    return constant, groups
