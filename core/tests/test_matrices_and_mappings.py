"""Fields of more than one array: sparse matrices and mappings of names to arrays."""

import pickle

import attrs
import numpy as np
import pytest
import scipy.sparse as sp

import solvary
from solvary import Problem, ProblemError, fields


@solvary.problem
class Network(Problem):
    """A system, one that may be dense, and the state of a network."""

    problem_id = "tiny.network"
    system: sp.csr_array = fields.sparse("n", "n")
    mixed: np.ndarray | sp.csr_array | None = fields.sparse("n", "m", dense=True, optional=True, default=None)
    state: dict[str, np.ndarray] | None = fields.arrays(optional=True, default=None)
    hidden: sp.csr_array | None = fields.sparse("n", "n", sealed=True, optional=True, default=None)


SYSTEM = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [4.0, 0.0, 0.5]])
STATE = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "layer.bias": np.zeros(2), "steps": np.int64(3)}


def parts(matrix):
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}


@pytest.mark.parametrize(
    "given",
    [SYSTEM, SYSTEM.tolist(), sp.csr_matrix(SYSTEM), sp.coo_array(SYSTEM), sp.csc_array(SYSTEM), sp.lil_array(SYSTEM),
     parts(sp.csr_array(SYSTEM)), sp.csr_array(SYSTEM.astype(np.float32))],
)  # fmt: skip
def test_every_form_of_a_matrix_becomes_the_same_one(given):
    system = Network(system=given).system
    assert isinstance(system, sp.csr_array)
    assert system.has_canonical_format
    np.testing.assert_array_equal(system.toarray(), SYSTEM)
    np.testing.assert_array_equal(system @ np.ones(3), SYSTEM.sum(axis=1))


def test_duplicates_are_added_and_the_callers_matrix_stays_as_it_is():
    given = sp.csr_array((np.array([1.0, 2.0, 5.0]), np.array([1, 1, 0]), np.array([0, 3, 3])), shape=(2, 2))
    np.testing.assert_array_equal(Network(system=given).system.toarray(), [[5, 3], [0, 0]])
    assert given.nnz == 3


def test_nothing_is_copied_without_need_and_nothing_can_be_written():
    given = sp.csr_array(SYSTEM)
    system = Network(system=given).system
    assert np.shares_memory(system.data, given.data)
    for part in (system.data, system.indices, system.indptr):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1


def test_a_matrix_that_may_be_dense_stays_as_it_came():
    assert isinstance(Network(system=SYSTEM, mixed=np.ones((3, 2))).mixed, np.ndarray)
    assert isinstance(Network(system=SYSTEM, mixed=sp.eye_array(3)).mixed, sp.csr_array)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({}, "system", "is missing"),
        ({"system": None}, "system", "is missing"),
        ({"system": "matrix"}, "system", "is a str"),
        ({"system": np.ones(3)}, "system", r"shape \(3,\); expected a sparse matrix or an array of shape \(n, n\)"),
        ({"system": np.ones((2, 3))}, "system", r"has shape \(2, 3\)"),
        ({"system": [[1.0, np.nan], [0, 1]]}, r"system\[0, 1\]", "is nan"),
        ({"system": sp.csr_array([[1.0, np.inf], [0, 1]])}, "system", "entry inf"),
        ({"system": sp.csr_array([[1j]])}, "system", "complex"),
        ({"system": {"data": [1.0]}}, "system", "has the parts"),
        ({"system": {"data": [1.0], "indices": [7], "indptr": [0, 1], "shape": [1, 1]}}, "system", "no sparse matrix"),
        ({"system": SYSTEM, "mixed": np.ones((2, 2))}, "mixed", "n = 3"),
        ({"system": SYSTEM, "state": [1]}, "state", "is a list"),
        ({"system": SYSTEM, "state": {}}, "state", "is empty"),
        ({"system": SYSTEM, "state": {"w": "text"}}, r"state\['w'\]", "entries of type"),
        ({"system": SYSTEM, "state": {"w": np.array([0.0, np.nan])}}, r"state\['w'\]\[1\]", "nan"),
        ({"system": SYSTEM, "state": {1: np.ones(2)}}, r"state\[1\]", "names that are text"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(given, field, message):
    with pytest.raises(ProblemError, match=f"^{field}: .*{message}") as caught:
        Network(**given)
    assert str(caught.value).count("expected") == 1


def test_a_solver_sees_copies_of_mappings_and_no_sealed_matrix():
    problem = Network(system=SYSTEM, state=STATE, hidden=SYSTEM)
    view = problem.view()
    view.state["layer.bias"] = np.ones(2)
    np.testing.assert_array_equal(problem.state["layer.bias"], [0, 0])
    with pytest.raises(AttributeError, match="sealed"):
        _ = view.hidden


def test_a_device_gets_the_arrays_of_mappings_and_dense_matrices():
    problem = Network(system=SYSTEM, mixed=np.ones((3, 2)), state=STATE)
    view = problem.view(lambda part: part + 1 if isinstance(part, np.ndarray) else part)
    np.testing.assert_array_equal(view.state["layer.bias"], [1, 1])
    np.testing.assert_array_equal(view.mixed, np.full((3, 2), 2.0))
    assert view.system is problem.system


@pytest.mark.parametrize("route", ["pickle", "file"])
def test_they_travel_and_stay_read_only(route, tmp_path):
    problem = Network(system=SYSTEM, mixed=sp.eye_array(3), state=STATE)
    if route == "pickle":
        back = pickle.loads(pickle.dumps(problem))
    else:
        problem.write(tmp_path / "network.npz")
        back = Network.read(tmp_path / "network.npz")
    np.testing.assert_array_equal(back.system.toarray(), SYSTEM)
    np.testing.assert_array_equal(back.mixed.toarray(), np.eye(3))
    assert back.hidden is None
    assert set(back.state) == set(STATE)
    for name, part in STATE.items():
        np.testing.assert_array_equal(back.state[name], part)
        assert back.state[name].dtype == part.dtype
    assert not back.system.data.flags.writeable
    assert not back.state["layer.weight"].flags.writeable


class Polygon:
    """A value of arrays, with the two halves that files need."""

    def __init__(self, corners):
        self.corners = np.asarray(corners, dtype=float)

    def to_arrays(self):
        return {"corners": self.corners}

    @classmethod
    def of(cls, given):
        return given if isinstance(given, cls) else cls(given["corners"])


def ball(given):
    return tuple(given[key] for key in ("0", "1")) if isinstance(given, dict) else given


@solvary.problem
class Region(solvary.Problem):
    problem_id = "test.region"
    outline: Polygon = attrs.field(converter=Polygon.of, kw_only=True)
    ball: tuple = attrs.field(converter=ball, kw_only=True)

    def measure(self, answer):
        return {}


def test_values_and_tuples_of_arrays_travel_in_parts(tmp_path):
    problem = Region(outline=Polygon([[0, 0], [1, 0], [0, 2]]), ball=(np.ones(2), 0.5))
    problem.write(tmp_path / "region.npz")
    with np.load(tmp_path / "region.npz") as stored:
        assert set(stored) == {"outline/corners", "ball/0", "ball/1"}
    back = Region.read(tmp_path / "region.npz")
    np.testing.assert_array_equal(back.outline.corners, problem.outline.corners)
    np.testing.assert_array_equal(back.ball[0], [1, 1])
    assert back.ball[1] == 0.5
    copied = pickle.loads(pickle.dumps(problem))
    assert not copied.ball[0].flags.writeable


def test_a_value_without_arrays_says_what_it_lacks(tmp_path):
    problem = Region(outline=Polygon([[0, 0]]), ball=("here", 1))
    with pytest.raises(solvary.ProblemError, match=r"^ball: .*to_arrays"):
        problem.write(tmp_path / "region.npz")
