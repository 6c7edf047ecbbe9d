"""The constants of every candidate: fitted in batches, checked on a finer grid, remembered by the function's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from solvary_approximation import FunctionApproximation, Program
from solvary_approximation.grids import chebyshev_lobatto
from solvary_approximation.interpreter import encode
from solvary_approximation.simplify import to_program
from solvary_autonumerics_zero import cmaes
from solvary_autonumerics_zero.fitting import STAGES
from solvary_autonumerics_zero.mutations import Genome, fresh_constant, function_hash

#: how often the constants of one function are trained, when it is met again and again
TRAININGS = 3
_FINE, _FINE_SINGLE = 1024, 4096
#: the reference's CMA-ES
_POPULATION, _GENERATIONS, _SCALE = 128, 10_000, 0.1
#: a polish is a short CMA-ES around the fit
_POLISH_GENERATIONS, _POLISH_SCALE = 80, 1e-4
#: float32: fits further than this many ULP from the function are not tuned, and the most rounds of the search
_TUNED_BELOW, _ROUNDS = 64.0, 40
#: float32, for the front: rounds of joint steps of up to so many ULP, and how many are tried in each
_WANDERINGS, _REACH, _TRIES = 12, 3, 64
#: constants are cut here: they must be finite in float32, too
_LARGEST = 1e30


@attrs.frozen(eq=False)
class Candidate:
    """A program with trained constants."""

    genome: Genome
    key: int
    error: float
    #: operations, or the relative time
    cost: float

    @property
    def program(self) -> Program:
        """The answer that it stands for."""
        return to_program(self.genome.lines, self.genome.constants)


@attrs.define(slots=True)
class _Memory:
    """What is known of one function."""

    constants: bytes
    error: float
    trainings: int
    polished: bool = False


class Trainer:
    """Fits constants for one problem with the kernels of one backend."""

    def __init__(
        self, problem: FunctionApproximation, ask: Any, kernels: Any, points: int, restarts: int, fit: str, single: bool
    ) -> None:
        self.kernels, self.restarts, self.method, self.single = kernels, restarts, fit, single
        self.root_mean = problem.norm == "l2"
        self.stages = STAGES[:1] if self.root_mean else STAGES
        self.memory: dict[int, _Memory] = {}
        self.fits = self.hits = 0
        interval = problem.domain[0]
        fine = _FINE_SINGLE if single else _FINE
        grids = (
            [problem.points, problem.points]
            if problem.points is not None
            else [chebyshev_lobatto(interval, n) for n in (points, fine)]
        )
        if single:  # the inputs are float32 numbers
            grids = [np.unique(x.astype(np.float32)).astype(np.float64).clip(*interval) for x in grids]
        (self.x, self.f, self.w), (self.fine_x, self.fine_f, self.fine_w) = (
            (np.ascontiguousarray(x), f, 1.0 / problem.unit_at(f)) for x, f in ((x, ask(x)) for x in grids)
        )
        self.single_x = self.fine_x.astype(np.float32)

    def train(self, genomes: Sequence[Genome], rng: np.random.Generator) -> list[Candidate]:
        """Candidates in the order of the genomes; their cost is the number of operations."""
        keys = [_key(genome) for genome in genomes]
        fresh: dict[int, Genome] = {}
        for key, genome in zip(keys, genomes, strict=True):
            known = self.memory.get(key)
            enough = known is not None and (known.trainings >= TRAININGS or not genome.constants)
            if not enough and key not in fresh:
                fresh[key] = genome
        self.hits += len(genomes) - len(fresh)
        self.fits += len(fresh)
        if fresh:
            self._learn(fresh, rng)
        return [self._candidate(genome, key) for genome, key in zip(genomes, keys, strict=True)]

    def polish(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """A short CMA-ES around the constants, on the fine grid, once for each function; in float32 a walk of ULPs."""
        known, genome = self.memory[candidate.key], candidate.genome
        if known.polished or not genome.constants or self.root_mean or self.method == "cma":
            return candidate
        known.polished = True
        start = np.array(genome.constants)
        if self.single:
            if known.error < _TUNED_BELOW:
                walked, known.error = self._wandered(genome, start.astype(np.float32), known.error, rng)
                known.constants = walked.astype(np.float64).tobytes()
            return self._candidate(genome, candidate.key)
        scale = _POLISH_SCALE * np.maximum(np.abs(start), 1e-3)
        best, error = cmaes.minimise(
            lambda batch: self._errors(genome, batch), start, scale, rng,
            population=8 + 2 * start.size, generations=_POLISH_GENERATIONS, patience=_POLISH_GENERATIONS // 2,
        )  # fmt: skip
        if error < known.error:
            known.constants, known.error = best.tobytes(), error
        return self._candidate(genome, candidate.key)

    def _candidate(self, genome: Genome, key: int) -> Candidate:
        known = self.memory[key]
        constants = tuple(np.frombuffer(known.constants).tolist())
        return Candidate(Genome(genome.lines, constants), key, known.error, float(genome.cost))

    def _learn(self, fresh: dict[int, Genome], rng: np.random.Generator) -> None:
        genomes = list(fresh.values())
        fitted = self._by_cma(genomes, rng) if self.method == "cma" else self._by_lm(genomes, rng)
        for key, genome, constants in zip(fresh, genomes, fitted, strict=True):
            constants, error = self.judged(genome, constants)
            known = self.memory.get(key)
            if known is None:
                self.memory[key] = _Memory(constants.tobytes(), error, 1)
            else:
                known.trainings += 1
                if error < known.error:
                    known.constants, known.error = constants.tobytes(), error

    def _by_lm(self, genomes: list[Genome], rng: np.random.Generator) -> list[np.ndarray]:
        lengths = np.array([len(genome.lines) for genome in genomes])
        counts = np.array([len(genome.constants) for genome in genomes])
        codes = np.zeros((len(genomes), max(1, int(lengths.max())), 4), dtype=np.int64)
        starts = np.zeros((len(genomes), self.restarts, max(1, int(counts.max()))))
        for p, genome in enumerate(genomes):
            codes[p] = _table(genome, codes.shape[1])
            starts[p, 0, : counts[p]] = genome.constants
            for row in starts[p, 1:]:
                row[: counts[p]] = [fresh_constant(rng) for _ in range(counts[p])]
        constants, _ = self.kernels.fit(
            codes, lengths, counts, starts, self.x, self.f, self.w, self.stages, self.root_mean
        )
        return [row[:count] for row, count in zip(constants, counts, strict=True)]

    def _by_cma(self, genomes: list[Genome], rng: np.random.Generator) -> list[np.ndarray]:
        fitted = []
        for genome in genomes:
            best = np.array(genome.constants)
            if best.size:
                best, _ = cmaes.minimise(
                    lambda batch, genome=genome: self._errors(genome, batch),  # type: ignore[misc]
                    best, _SCALE, rng, _POPULATION, _GENERATIONS,
                )  # fmt: skip
            fitted.append(best)
        return fitted

    def judged(self, genome: Genome, constants: np.ndarray) -> tuple[np.ndarray, float]:
        """The error on the fine grid; in float32, constants rounded and tuned first."""
        constants = np.clip(np.nan_to_num(constants), -_LARGEST, _LARGEST)
        error = float(self._errors(genome, constants[None])[0])
        if not self.single:
            return constants, error
        rounded = constants.astype(np.float32)
        start = float(self._errors(genome, rounded[None])[0])
        if error < _TUNED_BELOW and constants.size:
            rounded, start = self._tuned(genome, rounded, start)
        return rounded.astype(np.float64), start

    def _tuned(self, genome: Genome, constants: np.ndarray, error: float) -> tuple[np.ndarray, float]:
        """Steps of one ULP in one constant, the best of all 2 c each time, until none helps."""
        count = constants.size
        for _ in range(_ROUNDS):
            batch = np.repeat(constants[None], 2 * count, axis=0)
            at = np.arange(count)
            batch[at, at] = np.nextafter(constants, np.float32(np.inf))
            batch[count + at, at] = np.nextafter(constants, np.float32(-np.inf))
            errors = self._errors(genome, batch)
            best = int(np.argmin(errors))
            if not errors[best] < error:
                break
            constants, error = batch[best], float(errors[best])
        return constants, error

    def _wandered(
        self, genome: Genome, constants: np.ndarray, error: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """Joint random steps of a few ULP in all constants, each round's best tuned by single steps."""
        for _ in range(_WANDERINGS):
            steps = rng.integers(-_REACH, _REACH + 1, size=(_TRIES, constants.size))
            batch = (constants + steps * np.spacing(constants)).astype(np.float32)
            errors = self._errors(genome, batch)
            best = int(np.argmin(errors))
            tuned, found = self._tuned(genome, batch[best], float(errors[best]))
            if found < error:
                constants, error = tuned, found
        return constants, error

    def _errors(self, genome: Genome, batch: np.ndarray) -> np.ndarray:
        """Errors (R,) on the fine grid; in float32 arithmetic where the batch is float32."""
        single = batch.dtype == np.float32
        constants = np.ascontiguousarray(batch) if batch.shape[1] else np.zeros((len(batch), 1), batch.dtype)
        found: np.ndarray = self.kernels.errors(
            _table(genome, max(1, len(genome.lines))), len(genome.lines), constants, len(genome.constants),
            self.single_x if single else self.fine_x, self.fine_f, self.fine_w, self.root_mean,
        )  # fmt: skip
        return found


def _table(genome: Genome, length: int) -> np.ndarray:
    return encode(to_program(genome.lines, genome.constants), length)


def _key(genome: Genome) -> int:
    return int.from_bytes(hashlib.blake2b(function_hash(genome), digest_size=8).digest(), "little")
