"""`inverse.linear`: figures with known values, forms of answers, files, refusals, the counting of networks."""

import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from scipy.stats import wasserstein_distance

import solvary
from solvary import AnswerError, ProblemError
from solvary_inverse import GaussianMixture, LinearInverse
from solvary_inverse.linear_measures import psnr, sliced_w2

A = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])


def small(**given):
    return LinearInverse(**{"operator": A, "data": [1.0, 2.0], "noise": 0.5, **given})


def denoiser(factor=0.5):
    return lambda v, level: factor * v


def test_residual_and_psnr_by_hand():
    problem = small(truth=[1.0, 1.0, 1.0], peak=2.0)
    measures = problem.measure(np.array([1.0, 0.0, 1.0]))
    # A x = (3, -1), so |y - A x| = sqrt(4 + 9); mse = 1/3, psnr = 10 log10(4 * 3)
    assert measures["residual"] == pytest.approx(np.sqrt(13) / (0.5 * np.sqrt(2)))
    assert measures["mse"] == pytest.approx(1 / 3)
    assert measures["psnr"] == pytest.approx(10 * np.log10(12))
    assert measures["feasible"]
    assert "mean_error" not in measures


def test_a_batch_is_measured_image_by_image():
    rng = np.random.default_rng(0)
    truth, data, x = rng.standard_normal((4, 3)), rng.standard_normal((4, 2)), rng.standard_normal((4, 3))
    together = small(data=data, truth=truth).measure(x)
    alone = [small(data=y, truth=t).measure(z) for y, t, z in zip(data, truth, x, strict=True)]
    for name in ("residual", "mse", "psnr"):
        assert together[name] == pytest.approx(np.mean([part[name] for part in alone]))


def test_samples_are_averaged_and_their_mean_is_judged():
    problem = small(task="posterior", samples=2, truth=[0.0, 0.0, 0.0])
    measures = problem.measure(np.array([[1.0, 0, 0], [-1.0, 0, 0]]))
    assert measures["mse"] == pytest.approx(1 / 3)
    assert measures["psnr_of_mean"] == 300.0
    # residuals |(0, 2)| = 2 and |(2, 2)| = sqrt(8)
    assert measures["residual"] == pytest.approx((2 + np.sqrt(8)) / 2 / (0.5 * np.sqrt(2)))


def test_perfect_answers_have_finite_figures():
    assert psnr(np.zeros(3)) == 300.0
    assert small(truth=[1.0, 2, 3]).measure(np.array([1, 2, 3]))["psnr"] == 300.0


def test_exact_draws_are_close_to_the_exact_posterior_and_prior_draws_are_not():
    problem = solvary.instance("inverse.linear", "gmm", d=4, components=3, m=2, samples=2000, seed=3)
    exact = problem.measure(problem.exact[0].sample(np.random.default_rng(1), 2000))
    assert exact["residual"] == pytest.approx(1.0, abs=0.4)
    assert exact["mean_error"] < 0.03
    assert exact["covariance_error"] < 0.15
    assert exact["mode_tv"] < 0.03
    assert exact["sliced_w2"] < 0.05
    prior = problem.measure(problem.mixture.sample(np.random.default_rng(1), 2000))
    for name in ("mean_error", "covariance_error", "mode_tv", "sliced_w2"):
        assert prior[name] > 3 * exact[name]


def test_the_mean_error_of_one_who_answers_the_posterior_mean_is_zero():
    for images in (1, 3):
        problem = solvary.instance("inverse.linear", "gmm", task="estimate", images=images)
        mean = np.stack([exact.mean for exact in problem.exact])
        assert problem.measure(mean[0] if images == 1 else mean)["mean_error"] == 0


def test_batches_of_samples():
    problem = solvary.instance("inverse.linear", "gmm", images=3, samples=5)
    assert problem.measure(np.zeros((3, 5, 16)))["feasible"]
    assert "covariance_error" not in solvary.instance("inverse.linear", "gmm", samples=1).measure(np.zeros((1, 16)))


def test_a_sliced_distance_in_one_dimension():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 1)), rng.standard_normal((4, 1))
    repeated = np.sort(np.repeat(x, 2)), np.sort(np.repeat(y, 3))
    assert sliced_w2(x, y) == pytest.approx(np.sqrt(np.mean((repeated[0] - repeated[1]) ** 2)))
    assert sliced_w2(x, x + 2.5) == pytest.approx(2.5)
    assert sliced_w2(x, y) >= wasserstein_distance(x[:, 0], y[:, 0]) - 1e-12


@pytest.mark.parametrize("operator", [A, csr_array(A), aslinearoperator(A), A.tolist(), A.astype(np.float32)[:, ::1]])
def test_all_forms_of_an_operator(operator):
    problem = small(operator=operator)
    np.testing.assert_allclose(problem.A.apply(np.eye(3)), A.T, rtol=1e-6)
    np.testing.assert_allclose(problem.A.adjoint(np.eye(2)), A, rtol=1e-6)


def test_named_operators_need_a_length_only():
    rng = np.random.default_rng(0)
    assert LinearInverse(operator="mask(0.5)", data=np.ones(2), noise=1, training=rng.random((5, 4))).A.d == 4
    assert LinearInverse(operator="mask", mask=[True, False, True], data=np.ones(2), noise=1).A.d == 3
    assert LinearInverse(operator="gaussian(2)", data=np.ones(2), noise=1, truth=np.ones(7)).A.d == 7
    assert (
        LinearInverse(operator="gaussian(2)", data=np.ones(2), noise=1, mixture=GaussianMixture(np.ones((1, 5)))).A.d
        == 5
    )


def test_degenerate_sizes():
    problem = LinearInverse(operator=[[0.0]], data=[1.0], noise=1e-3, mixture=GaussianMixture([[2.0]]), truth=[2.0])
    measures = problem.measure(np.array([2.0]))
    assert measures["mean_error"] == pytest.approx(0)
    assert measures["residual"] == pytest.approx(1000)


def test_what_a_solver_sees():
    problem = small(truth=[1.0, 1, 1])
    with pytest.raises(AttributeError, match="sealed"):
        _ = problem.view().truth
    hidden = LinearInverse(operator="gaussian(2)", data=np.ones(2), noise=1, truth=np.ones(7))
    for one in (hidden, pickle.loads(pickle.dumps(hidden))):
        assert one.view().A.d == 7  # known from the truth alone


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"operator": csr_array(A), "data": np.ones((4, 2)), "task": "posterior", "samples": 3},
        {"operator": "mask", "mask": [[True, False], [True, True]], "data": np.ones(3), "shape": (2, 2)},
        {"operator": "blur(1)", "data": np.ones(6), "shape": (2, 3), "training": np.ones((2, 6)), "truth": np.ones(6)},
        {"mixture": GaussianMixture(np.ones((2, 3)), 0.5), "denoiser": "solvary_inverse_none:factory"},
    ],
)
def test_it_is_written_and_read(tmp_path, given):
    problem = small(**given)
    problem.write(tmp_path / "problem.npz")
    back = LinearInverse.read(tmp_path / "problem.npz")
    x = np.arange(problem.A.d, dtype=float)
    np.testing.assert_array_equal(back.A.apply(x), problem.A.apply(x))
    np.testing.assert_array_equal(back.data, problem.data)
    for name in ("noise", "shape", "task", "samples", "peak"):
        assert getattr(back, name) == getattr(problem, name)
    assert (back.denoiser is None) == (problem.denoiser is None)
    if problem.mixture is not None:
        np.testing.assert_array_equal(back.mixture.covariances, problem.mixture.covariances)
    again = pickle.loads(pickle.dumps(back))
    np.testing.assert_array_equal(again.A.apply(x), problem.A.apply(x))


def test_images_are_read_from_files(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    grey = np.array([[0, 51, 255], [102, 0, 204]], dtype=np.uint8)
    for name in ("image.png", "image.pgm"):
        Image.fromarray(grey).save(tmp_path / name)
        problem = LinearInverse.read(tmp_path / name, operator="blur(1)", noise=0.1)
        assert problem.shape == (2, 3)
        np.testing.assert_allclose(problem.data, [0, 0.2, 1, 0.4, 0, 0.8])
    np.save(tmp_path / "image.npy", grey / 255)
    small_image = LinearInverse.read(tmp_path / "image.npy", operator="downsample(2)", noise=0.1)
    assert small_image.shape == (4, 6)
    holes = LinearInverse.read(tmp_path / "image.npy", operator="mask", mask=grey > 0, noise=0.1)
    np.testing.assert_allclose(holes.data, [0.2, 1, 0.4, 0.8])
    for given, field in (({"operator": "blur(1)"}, "noise"), ({"noise": 1.0}, "operator")):
        with pytest.raises(ProblemError) as caught:
            LinearInverse.read(tmp_path / "image.npy", **given)
        assert caught.value.field == field
    np.save(tmp_path / "line.npy", np.ones(3))
    with pytest.raises(ProblemError, match="height, width"):
        LinearInverse.read(tmp_path / "line.npy", operator="blur(1)", noise=1.0)


def test_live_objects_are_not_written(tmp_path):
    with pytest.raises(ProblemError, match=r"denoiser.*live callable"):
        small(denoiser=denoiser()).write(tmp_path / "a.npz")
    with pytest.raises(ProblemError, match=r"operator.*LinearOperator"):
        small(operator=aslinearoperator(A)).write(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(4,), (3, 1), (1, 3), (2, 3), ()])
def test_answers_of_other_shapes_are_refused(shape):
    with pytest.raises(AnswerError, match=r"\(3,\)"):
        small().measure(np.zeros(shape))
    with pytest.raises(AnswerError, match=r"\(7, 3\)"):
        small(task="posterior", samples=7).measure(np.zeros(shape))


def test_answers_that_are_not_finite_are_infeasible():
    assert not small(mixture=GaussianMixture(np.ones((1, 3)))).measure(np.array([np.nan, 0, 0]))["feasible"]
    with pytest.raises(AnswerError, match="type complex"):
        small().measure(np.zeros(3, complex))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"noise": 0.0}, "noise"), ({"noise": -1.0}, "noise"), ({"noise": np.inf}, "noise"),
        ({"data": [1.0, np.nan]}, "data"), ({"data": [1.0]}, "data"), ({"data": np.ones((2, 2, 2))}, "data"),
        ({"data": np.ones((0, 2))}, "data"), ({"operator": np.ones(3)}, "operator"),
        ({"operator": np.array([[np.inf, 1]])}, "operator"), ({"operator": "sharpen"}, "operator"),
        ({"operator": object()}, "operator"), ({"operator": "blur(1)"}, "shape"), ({"shape": (2, 2)}, "shape"),
        ({"shape": (-3, -1)}, "shape"), ({"shape": "3"}, "shape"), ({"training": np.ones((5, 4))}, "training"),
        ({"mixture": GaussianMixture(np.ones((2, 4)))}, "mixture"), ({"mixture": 3.0}, "mixture"),
        ({"truth": np.ones(4)}, "truth"), ({"truth": np.ones((2, 3))}, "truth"), ({"task": "map"}, "task"),
        ({"samples": 0}, "samples"), ({"peak": 0.0}, "peak"), ({"mask": np.ones(3, bool)}, "mask"),
        ({"operator": "mask"}, "shape"), ({"operator": "mask", "shape": (3,)}, "mask"),
        ({"operator": "downsample(2)", "shape": (3, 4)}, "operator"),
    ],
)  # fmt: skip
def test_bad_fields_are_named(given, field):
    with pytest.raises(ProblemError) as caught:
        small(**given)
    assert caught.value.field.partition("[")[0] == field


def test_an_adjoint_that_is_none_is_refused():
    wrong = LinearOperator((2, 3), matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y * 1.0001, dtype=float)
    with pytest.raises(ProblemError, match=r"operator.*no exact adjoint"):
        small(operator=wrong)
    with pytest.raises(ProblemError, match=r"operator.*rmatvec"):
        small(operator=LinearOperator((2, 3), matvec=lambda x: A @ x, dtype=float))


def test_networks_are_counted_by_the_problem():
    mixture = GaussianMixture(np.zeros((2, 3)), [1.0, 2.0])
    oracle = small(mixture=mixture).oracle(np.random.default_rng(0))
    points = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_allclose(oracle.score(points, 0.6, 0.8), mixture.score(points, 0.6, 0.8))
    there = oracle.score(torch.tensor(points), 0.6, 0.8)
    np.testing.assert_allclose(there.numpy(), mixture.score(points, 0.6, 0.8))
    oracle.denoise(points[0], 0.5)
    assert oracle.counted(lambda v, t: v + t)(points, 1.0).shape == (5, 3)
    assert oracle.calls == {"network_evaluations": 4, "network_rows": 16}


def test_a_denoiser_of_the_problem_comes_before_the_mixture():
    oracle = small(denoiser=denoiser(0.25), mixture=GaussianMixture(np.zeros((1, 3)))).oracle(np.random.default_rng(0))
    # v = 0.5 x + e, so that v / 0.5 = x + 2 e
    assert oracle.denoise(np.ones((1, 3)), 1.0, 0.5).tolist() == [[0.5, 0.5, 0.5]]
    nothing = small().oracle(np.random.default_rng(0))
    assert not nothing.available
    with pytest.raises(ValueError, match="neither"):
        nothing.denoise(np.ones((1, 3)), 1.0)
