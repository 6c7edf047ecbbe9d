"""`inverse.prior`: what its measures say of operators that are known exactly."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import AnswerError, ProblemError
from solvary_inverse import PriorLearning, ProximalModel
from solvary_inverse.inversion import invert
from solvary_inverse.prior import jacobian_figures


def soft(y, threshold=1.0):
    return np.sign(y) * np.maximum(np.abs(y) - threshold, 0)


@pytest.fixture
def laplace():
    return solvary.instance("inverse.prior", "laplace", samples=400)


def test_soft_thresholding_is_the_prox_of_the_absolute_value(laplace):
    model = ProximalModel.of(soft, lambda y: (soft(y) ** 2).sum(axis=1) / 2, lambda x: np.abs(x).sum(axis=1))
    measures = laplace.measure(model, include=("moreau_by_inversion",))
    assert measures["feasible"]
    assert measures["asymmetry"] <= 1e-12
    assert measures["min_eigenvalue"] >= -1e-9
    assert measures["moreau_error"] <= 1e-12
    assert measures["moreau_by_inversion"] <= 1e-12
    assert measures["prox_error_max"] <= 1e-12
    assert measures["regulariser_error"] <= 1e-12


def test_a_wrong_regulariser_is_seen(laplace):
    wrong = ProximalModel.of(soft, lambda y: (soft(y) ** 2).sum(axis=1) / 2, lambda x: 3 * np.abs(x).sum(axis=1))
    measures = laplace.measure(wrong)
    assert measures["moreau_error"] > 0.05
    assert measures["regulariser_error"] == pytest.approx(2.0)  # 2 |x| on [-2, 2], less the best constant


def test_shrinkage_of_a_gaussian():
    problem = solvary.instance("inverse.prior", "gaussian", samples=300, scale=2.0, noise=1.0, dimension=3)
    factor = 4 / 5  # scale^2 / (scale^2 + noise^2)
    model = ProximalModel.of(lambda y: factor * y, lambda y: factor * (y**2).sum(axis=1) / 2)
    measures = problem.measure(model, include=("moreau_by_inversion",))
    assert measures["feasible"]
    assert measures["prox_error_max"] <= 1e-12
    assert measures["min_eigenvalue"] == pytest.approx(factor, abs=1e-9)
    assert measures["regulariser_error"] <= 1e-8  # by inverting f: |x|^2 / 8
    assert measures["moreau_by_inversion"] <= 1e-9


@pytest.mark.parametrize("entry", [1e-5, 1e-3, 1.0])
def test_asymmetry_is_that_of_a_matrix(laplace, entry):
    problem = PriorLearning(samples=np.random.default_rng(0).standard_normal((50, 2)), noise=0.1)
    matrix = np.array([[0.5, entry], [0.0, 0.5]])
    measures = problem.measure(ProximalModel.of(lambda y: y @ matrix.T))
    expected = np.sqrt(2) * entry / np.linalg.norm(matrix)
    assert measures["asymmetry"] == pytest.approx(expected, rel=1e-4)
    assert measures["min_eigenvalue"] == pytest.approx(0.5 - entry / 2, abs=1e-8)
    assert not measures["feasible"]


@given(
    st.integers(1, 5),
    st.sampled_from([1e-3, 1.0, 1e3]),
    st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None)
def test_figures_of_a_smooth_gradient_are_exact_to_1e_8(d, size, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((d, d))
    symmetric = matrix @ matrix.T / d

    def prox(y):  # the gradient of a convex function with curvature in every direction
        return size * (np.tanh(y / size) + y / size @ symmetric)

    y = size * rng.standard_normal((4, d))
    asymmetry, smallest = jacobian_figures(prox, y)
    exact = min(np.linalg.eigvalsh(np.diag(1 - np.tanh(p / size) ** 2) + symmetric)[0] for p in y)
    assert asymmetry <= 1e-8
    assert smallest == pytest.approx(exact, abs=1e-8)


def test_inversion_solves_an_ill_conditioned_gradient_row_by_row():
    curvature = np.array([1e-3, 1.0, 50.0])

    def evaluate(y):
        with np.errstate(over="ignore"):
            return (curvature * y**2 / 2 + np.cosh(y / 10) - 1).sum(axis=1), curvature * y + np.sinh(y / 10) / 10

    y = np.random.default_rng(0).standard_normal((30, 3)) * 5
    found, residual = invert(evaluate, evaluate(y)[1])
    assert residual.max() <= 1e-9
    np.testing.assert_allclose(found, y, atol=1e-5)


def test_outside_the_range_the_regulariser_is_infinite():
    model = ProximalModel.of(np.tanh, lambda y: (np.logaddexp(y, -y) - np.log(2)).sum(axis=1))
    values = model.regulariser(np.array([[0.5], [1.5], [-3.0]]))
    assert np.isfinite(values[0])
    assert np.isinf(values[1:]).all()
    _, residual = model.invert(np.array([[1.5]]))
    assert residual[0] == pytest.approx(0.5 / 2.5, rel=1e-3)
    # R(x) = x artanh(x) + log(1 - x^2) / 2 - x^2 / 2, by Legendre's identity
    assert values[0] == pytest.approx(0.5 * np.arctanh(0.5) + np.log(0.75) / 2 - 0.125, abs=1e-9)


@pytest.mark.parametrize("change", [{"noise": 0.0}, {"noise": -1.0}, {"noise": np.nan}, {"samples": np.zeros((0, 2))},
                                    {"samples": [[np.nan, 0.0]]}, {"samples": [1.0, 2.0]}, {"shape": [3, 5]},
                                    {"shape": [4]}, {"closed_form": "cauchy"}])  # fmt: skip
def test_bad_input_is_refused_by_its_field(change):
    good = {"samples": np.zeros((5, 4)), "noise": 1.0, "shape": [2, 2]}
    with pytest.raises(ProblemError) as refused:
        PriorLearning(**{**good, **change})
    assert refused.value.field.startswith(next(iter(change)))


@pytest.mark.parametrize("answer", [None, np.zeros(3), ProximalModel.of(lambda y: y[:, :1]),
                                    ProximalModel("no_such_module:build")])  # fmt: skip
def test_bad_answers_are_refused(answer):
    problem = PriorLearning(samples=np.zeros((5, 2)), noise=1.0)
    with pytest.raises(AnswerError):
        problem.measure(answer)


def test_constant_data_and_one_sample_have_measures():
    for samples in (np.full((1, 1), 3.0), np.full((200, 2), -1.0)):
        problem = PriorLearning(samples=samples, noise=0.5, closed_form="gaussian")
        measures = problem.measure(ProximalModel.of(lambda y, x=samples[0]: np.zeros_like(y) + x))
        assert measures["denoising_error"] == 0
        assert measures["feasible"]
        assert measures["prox_error_max"] <= 1e-12


def test_closed_form_and_answer_travel(laplace, tmp_path):
    with pytest.raises(AttributeError, match="sealed"):
        _ = laplace.view().closed_form
    back = pickle.loads(pickle.dumps(laplace.exact))
    np.testing.assert_array_equal(back.prox(np.ones((1, 1)) * 3), [[2.0]])
    stored = laplace.write_answer(laplace.exact)
    assert laplace.measure(laplace.read_answer(stored)) == laplace.measure(laplace.exact)
    laplace.write(tmp_path / "problem.npz")
    again = PriorLearning.read(tmp_path / "problem.npz")
    assert again.closed_form == "laplace"
    assert again.noise == laplace.noise
    with pytest.raises(AnswerError, match="live functions"):
        laplace.write_answer(ProximalModel.of(soft))


@pytest.mark.parametrize("name", ["spike-slab", "two-gaussians", "digits"])
def test_instances_hold_what_they_say(name):
    problem = solvary.instance("inverse.prior", name)
    x = problem.samples
    if name == "spike-slab":
        assert (x == 0).mean() == pytest.approx(0.7, abs=0.01)
        assert x.std() == pytest.approx(2 * 0.3**0.5, rel=0.02)
    elif name == "two-gaussians":
        assert (np.abs(np.abs(x) - 2) < 1.2).mean() > 0.999
        assert abs(x.mean()) < 0.05
    else:
        assert x.shape == (1500, 64)
        assert x.min() == 0
        assert x.max() == 1
