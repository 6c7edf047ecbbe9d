"""Methods that are trained once and used many times: training runs like a solve, and makes an artifact."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from solvary._answers import is_finite
from solvary._options import check_options, defaults_of, options_of
from solvary._settings import Settings
from solvary._solution import Trace
from solvary.errors import ArtifactError, OptionError
from solvary.files import read_arrays, to_json, write_arrays, write_json

if TYPE_CHECKING:
    from solvary._prepare import Prepared
    from solvary._problem import Problem

_RECORD = "solvary"


@attrs.frozen(kw_only=True)
class Artifact:
    """What training made: named arrays, and where they come from."""

    arrays: dict[str, np.ndarray] = attrs.field(repr=False)
    record: dict[str, Any]
    trace: Trace = attrs.field(factory=Trace, repr=False)
    source: str = "trained in this process"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.safetensors` (with the extra `artifacts`), or `.npz` with a `.json` beside it."""
        target = Path(path)
        if target.suffix == ".safetensors":
            from safetensors.numpy import save_file

            dense = {name: np.array(value, order="C") for name, value in self.arrays.items()}
            save_file(dense, target, metadata={_RECORD: to_json(self.record)})
        elif target.suffix == ".npz":
            write_arrays(target, self.arrays)
            write_json(target.with_suffix(".json"), self.record)
        else:
            raise ArtifactError(f"cannot write {target.name!r}: expected .safetensors or .npz")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Artifact:
        """Read what `save` wrote."""
        target = Path(path)
        try:
            if target.suffix == ".safetensors":
                from safetensors import safe_open

                with safe_open(target, framework="numpy") as stored:
                    arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                    record = json.loads((stored.metadata() or {})[_RECORD])
            elif target.suffix == ".npz":
                arrays = read_arrays(target)
                record = json.loads(target.with_suffix(".json").read_text())
            else:
                raise ArtifactError(f"cannot read {target.name!r}: expected .safetensors or .npz")
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(f"cannot read {target.name!r}: {type(error).__name__}: {error}") from error
        return cls(arrays=arrays, record=record, source=str(target))


def train(solver: str, problem: Problem, **settings: Any) -> Artifact:
    """Train a solver on a problem; takes the limits of `solve` and the options of the training.

    A limit ends the training with the last iterate's arrays. Raises `OptionError` when the solver
    is not one that trains.
    """
    from solvary._prepare import prepare
    from solvary._registry import registry

    chosen, options = Settings.split(settings)
    if registry.solver(solver).train is None:
        raise OptionError("solver", f"{solver} does not train", "one with the trait 'trained'")
    # The solve's own options are all defaults here; an artifact of nothing keeps it from training by itself.
    ready = prepare(problem, solver, attrs.evolve(chosen, artifact=_Pending()), {})
    return _train(ready, options)


def provide_artifact(ready: Prepared) -> None:
    """Give a solve its artifact: the one it was given, the packaged one, or else train now and say so."""
    given = ready.settings.artifact
    if isinstance(given, _Pending):
        return
    if given is not None:
        artifact = given if isinstance(given, Artifact) else Artifact.load(given)
    elif ready.solver.artifact is not None:
        package, _, inner = ready.solver.artifact.partition(":")
        with resources.as_file(resources.files(package).joinpath(inner)) as path:
            artifact = Artifact.load(path)
    else:
        began = perf_counter()
        artifact = _train(_apart(ready), {})
        words = f"no artifact was given: trained first, {perf_counter() - began:.3g} s"
        if artifact.record["status"] != "CONVERGED":  # another run may get further: the solve need not repeat itself
            words += f"; the training did not finish: {artifact.record['reason']}"
        ready.context.report["trained"] = words
        ready.context.log.info(ready.context.report["trained"])
    if "solver" not in artifact.record:
        raise ArtifactError(f"{artifact.source} is no trained artifact")
    if artifact.record.get("solver") != ready.solver.id:
        raise ArtifactError(
            f"{artifact.source} was trained for {artifact.record.get('solver')!r}, not {ready.solver.id!r}"
        )
    ready.context.artifact = artifact.arrays
    ready.artifact = artifact.source


def _apart(ready: Prepared) -> Prepared:
    """The same run for training before it: what is counted, called back and limited belongs to the solve."""
    from solvary._prepare import prepare

    none: dict[str, Any] = {"callback": None, "max_iterations": None, "max_calls": None, "target": None}
    seed: Any = "os" if ready.seed is None else ready.seed
    settings = attrs.evolve(ready.settings, artifact=_Pending(), seed=seed, **none)
    return prepare(ready.problem, ready.solver.id, settings, {})


class _Pending:
    """Stands for the artifact that is being made."""


def _train(ready: Prepared, options: dict[str, Any]) -> Artifact:
    """Run the training as any run: its limits, threads, progress, interrupts and trace are the driver's."""
    from solvary._driver import Run
    from solvary._prepare import implementation

    assert ready.solver.train is not None
    function = implementation(ready.plugin, ready.solver, ready.solver.train)
    checked = check_options(options, options_of(function), f"the training of {ready.solver.id}")
    settings = attrs.evolve(ready.settings, trace="none", target=None)
    run = Run(attrs.evolve(ready, function=function, options=checked, settings=settings))
    began = perf_counter()
    run.drive()
    arrays, status, reason, error = run.outcome()
    if error is not None:
        raise ready.error(f"training raised {type(error).__name__}: {error}") from error
    if not isinstance(arrays, dict) or not arrays:
        raise ready.error(f"training gave {type(arrays).__name__}, expected a dict of arrays ({reason})")
    if not is_finite(arrays):
        raise ready.error("training gave arrays with NaN or infinity")
    record = {
        **attrs.asdict(ready.origin()()),
        "options": {**defaults_of(function), **checked},
        "problem": ready.problem.problem_id,
        "status": status.name,
        "reason": reason,
        "seconds": perf_counter() - began,
        "steps": len(run.trace),
    }
    return Artifact(arrays={name: np.asarray(value) for name, value in arrays.items()}, record=record, trace=run.trace)
