"""Files in and out: NPZ and JSON, never pickle, written atomically."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import attrs
import numpy as np

from solvary._problem import Problem, fields_of
from solvary._references import Function, resolve
from solvary.errors import ProblemError, SolvaryError
from solvary.fields import is_compressed

if TYPE_CHECKING:
    from solvary._solution import Solution

#: how a text array begins that stands for a function
_FUNCTION = "function "
#: what an array in a file is made of
_NUMBERS = (np.ndarray, np.generic, int, float)
P = TypeVar("P", bound=Problem)


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block has ended well, and else leaves no trace."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Named arrays as NPZ."""
    plain = {name: np.asarray(value) for name, value in arrays.items()}
    for name, value in plain.items():
        if value.dtype.hasobject:
            raise TypeError(f"{name} is not numeric: NPZ files hold arrays of numbers or texts")
    with atomic(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **plain)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Named arrays from NPZ, or the one array of an NPY file as `array`."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"array": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        words = str(error).partition("allow_pickle")[0].strip()
        raise ValueError(f"damaged, or no NPZ file of plain arrays ({type(error).__name__}: {words})") from error


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """JSON, with what JSON does not know as text."""
    with atomic(path) as stream:
        stream.write(to_json(value).encode())


def to_json(value: Any) -> str:
    """JSON text of plain values, NumPy numbers and arrays, attrs objects and enumerations.

    What JSON does not know is written as text: NaN and infinities, keys that are no text, other objects.
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return str(getattr(value, "value", value))


def read_problem(cls: type[P], path: str | os.PathLike[str], given: Mapping[str, Any]) -> P:
    """A problem from a file, by the reader that its class names for the suffix; NPZ holds fields by name."""
    suffix = "".join(Path(path).suffixes[-2:]) if str(path).endswith(".gz") else Path(path).suffix.lower()
    if suffix in cls.formats:
        try:
            built = resolve(cls.formats[suffix])(cls, Path(path), **given)
        except SolvaryError:
            raise
        except Exception as error:
            words = f"cannot read {Path(path).name!r}: {type(error).__name__}: {error}"
            raise ProblemError("input", words) from error
        assert isinstance(built, cls)
        return built
    if suffix != ".npz":
        known = ", ".join(sorted({".npz", *cls.formats}))
        raise ProblemError("input", f"cannot read {Path(path).name!r}: no reader for {suffix!r}", f"one of {known}")
    try:
        stored = read_arrays(path)
    except (ValueError, OSError) as error:
        raise ProblemError(
            "input", f"cannot read {Path(path).name!r}: {error}", "an NPZ file without objects"
        ) from error
    known_fields = {field.name for field in fields_of(cls)}
    found = _gathered(stored)
    unknown = sorted(found.keys() - known_fields)
    if unknown:
        raise ProblemError("input", f"{Path(path).name!r} has the arrays {unknown}", f"of {sorted(known_fields)}")
    return cls(**{**{name: _field(value) for name, value in found.items()}, **given})


def _gathered(stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arrays "field/part" of one field as one mapping."""
    found: dict[str, Any] = {}
    for name, value in stored.items():
        field, slash, part = name.partition("/")
        if not slash:
            found[field] = value
        elif isinstance(parts := found.setdefault(field, {}), dict):
            parts[part] = value
    return found


def _parts(field: str, value: Any) -> dict[str, Any] | None:
    """What is made of arrays as arrays "field/part", None for anything else.

    That is a mapping, a tuple (its parts are "0", "1", ...), a compressed sparse matrix, or an object with `to_arrays`.
    """
    if hasattr(value, "to_arrays"):
        value = value.to_arrays()
    elif is_compressed(value):
        value = {"data": value.data, "indices": value.indices, "indptr": value.indptr, "shape": np.array(value.shape)}
    elif isinstance(value, tuple):
        value = {str(place): part for place, part in enumerate(value)}
    if isinstance(value, dict) and value and all(isinstance(part, _NUMBERS) for part in value.values()):
        return {f"{field}/{name}": part for name, part in value.items()}
    return None


def _field(stored: Any) -> Any:
    """A field from its array or arrays: a scalar, a function with its options, or as it is."""
    if isinstance(stored, dict):
        return stored
    value = stored.item() if stored.ndim == 0 else stored
    if isinstance(value, str) and value.startswith(_FUNCTION):
        record = json.loads(value.removeprefix(_FUNCTION))
        return Function(record["reference"], record["options"])
    return value


def write_problem(problem: Problem, path: str | os.PathLike[str]) -> None:
    """The fields of a problem as NPZ; fields that are None are left out, callables only by reference."""
    if Path(path).suffix != ".npz":
        raise ProblemError("path", f"got {Path(path).name!r}", "a name that ends in .npz")
    arrays: dict[str, Any] = {}
    for field in fields_of(problem):
        value = getattr(problem, field.name)
        if (parts := _parts(field.name, value)) is not None:
            arrays.update(parts)
            continue
        if isinstance(value, Function):
            if value.reference is None:
                raise ProblemError(field.name, "is a live callable", 'the form "package.module:factory" to be written')
            value = _FUNCTION + json.dumps({"reference": value.reference, "options": value.options})
        elif value is not None and not isinstance(value, np.ndarray | np.generic | str | int | float):
            words = "numbers or texts, or an object with `to_arrays`: else the class needs a write of its own"
            raise ProblemError(field.name, f"is a {type(value).__name__}", words)
        if value is not None:
            arrays[field.name] = value
    write_arrays(path, arrays)


def solution_record(solution: Solution) -> dict[str, Any]:
    """All of a solution but its arrays, as plain values."""
    return {
        "problem": solution.problem.problem_id,
        "status": solution.status.name,
        "reason": solution.reason,
        "measures": solution.measures,
        "seconds": solution.seconds,
        "steps": solution.steps,
        "report": solution.report,
        "provenance": attrs.asdict(solution.provenance),
    }


def _npz(path: str | os.PathLike[str]) -> Path:
    """The path with the suffix .npz, added where it is missing."""
    given = Path(path)
    return given if given.suffix == ".npz" else given.with_name(given.name + ".npz")


def write_solution(solution: Solution, path: str | os.PathLike[str]) -> None:
    """`path` with the arrays of the answer, and beside it the same name with `.json` for the rest."""
    target = _npz(path)
    parts = solution.problem.write_answer(solution.answer) if solution.answer is not None else {}
    arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
    values = {name: part for name, part in parts.items() if name not in arrays}
    write_arrays(target, arrays)
    record = {**solution_record(solution), "answer": values, "arrays": target.name, "trace": list(solution.trace)}
    write_json(target.with_suffix(".json"), record)


def read_solution(path: str | os.PathLike[str], problem: Problem) -> tuple[Any, dict[str, Any]]:
    """The answer and the record that `write_solution` wrote."""
    target = _npz(path)
    record = json.loads(target.with_suffix(".json").read_text())
    return problem.read_answer({**read_arrays(target), **record["answer"]}), record
