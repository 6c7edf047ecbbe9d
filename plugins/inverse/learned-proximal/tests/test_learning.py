"""The solver `learned-proximal`: what it learns is a prox, whatever it has learned so far."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import OptionError, ProblemError
from solvary_inverse import PriorLearning
from solvary_learned_proximal.network import unpack
from solvary_learned_proximal.training import Stage, schedule, slope

ID = "learned-proximal"
SHORT = {"seed": 0, "threads": 1, "backend": "cpu", "hidden": 12, "layers": 2, "pretrain_steps": 60, "steps": 60}


def normal(count=300, d=2, **given):
    samples = np.random.default_rng(0).standard_normal((count, d))
    return PriorLearning(samples=samples, noise=0.5, **given)


@pytest.fixture(scope="module")
def laplace():
    """A network that has seen enough to be told from the identity."""
    problem = solvary.instance("inverse.prior", "laplace", samples=20_000)
    return problem, solvary.solve(
        problem, ID, **{**SHORT, "hidden": 20, "pretrain_steps": 900, "steps": 0, "batch": 200}
    )


@pytest.mark.parametrize("loss", ["proximal-matching", "l1", "l2"])
@pytest.mark.parametrize("convolutional", [False, True])
def test_every_loss_and_network_gives_a_prox(loss, convolutional):
    problem = normal(d=12, shape=(3, 4))
    solution = solvary.solve(
        problem, ID, **{**SHORT, "hidden": 3, "pretrain_steps": 5, "steps": 8}, loss=loss, convolutional=convolutional
    )
    assert solution.measures["feasible"]
    assert solution.measures["asymmetry"] <= 1e-6
    assert solution.measures["min_eigenvalue"] >= -1e-8
    assert solution.measures["moreau_error"] <= 1e-9


def test_training_lowers_the_error_and_shrinks(laplace):
    problem, solution = laplace
    assert solution.measures["denoising_error"] < 0.85 < problem.noise  # the best possible is near 0.77
    assert solution.measures["prox_error_mean"] < 0.3
    f = solution.answer.prox(np.linspace(-4, 4, 81)[:, None])[:, 0]
    assert (np.diff(f) >= -1e-12).all()
    assert abs(f[40]) < 0.2
    assert 0.2 < f[50] < 0.7  # the posterior median at 1, about 0.43


def test_the_regulariser_is_that_of_the_operator(laplace):
    _, solution = laplace
    model = solution.answer
    y = np.linspace(-3, 3, 13)[:, None]
    x = model.prox(y)
    np.testing.assert_allclose(model.prox(model.invert(x)[0]), x, atol=1e-6)
    psi = model.potential(y)
    expected = (x * y).sum(axis=1) - (x**2).sum(axis=1) / 2 - psi
    np.testing.assert_allclose(model.regulariser(x), expected, atol=1e-6)
    # f(y) minimises |x - y|^2 / 2 + R(x) over a grid
    grid = np.linspace(-2.5, 2.5, 401)[:, None]
    values = model.regulariser(grid)
    for point, best in zip(y[2:-2, 0], x[2:-2, 0], strict=True):
        at = (grid[:, 0] - point) ** 2 / 2 + values
        assert abs(grid[np.argmin(at), 0] - best) <= 0.03


def test_bounded_range_without_strong_convexity_and_all_of_space_with_it():
    problem = normal(d=1)
    far = np.array([[1e3]])
    for alpha, finite in ((0.0, False), (0.1, True)):
        model = solvary.solve(problem, ID, **{**SHORT, "pretrain_steps": 5, "steps": 5}, strong_convexity=alpha).answer
        weights = unpack(model.arrays)
        largest = float(model.prox(np.array([[1e6]]))[0, 0]) if not finite else np.inf
        if finite or largest < 1e3:
            assert np.isfinite(model.regulariser(far)[0]) == finite
        assert weights.architecture.strong_convexity == alpha


@given(st.integers(0, 100), st.sampled_from([1e-4, 1.0, 1e5]), st.floats(-3, 3))
@settings(max_examples=6, deadline=None)
def test_units_of_the_data_do_not_matter(seed, unit, centre):
    samples = np.random.default_rng(seed).standard_normal((200, 1))
    options = {**SHORT, "pretrain_steps": 20, "steps": 20, "seed": seed}
    plain = solvary.solve(PriorLearning(samples=samples, noise=0.5), ID, **options).answer
    moved = PriorLearning(samples=unit * (samples + 100 * round(centre)), noise=0.5 * unit)
    other = solvary.solve(moved, ID, **options).answer
    y = np.linspace(-2, 2, 9)[:, None]
    found = other.prox(unit * (y + 100 * round(centre))) / unit - 100 * round(centre)
    np.testing.assert_allclose(found, plain.prox(y), atol=0.02)


def test_constant_data_are_returned():
    x0 = np.array([2.0, -1.0])
    problem = PriorLearning(samples=np.tile(x0, (200, 1)), noise=0.3)
    model = solvary.solve(problem, ID, **{**SHORT, "pretrain_steps": 500, "steps": 100}, strong_convexity=0.01).answer
    y = x0 + 0.3 * np.random.default_rng(0).standard_normal((50, 2))
    assert np.abs(model.prox(y) - x0).max() < 0.15
    moves = np.array([[0.0, 0.0], [0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])
    values = model.regulariser(x0 + moves)
    assert np.argmin(values) == 0


def test_the_matching_loss_and_its_slope():
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    f = torch.tensor([[0.3, -0.4], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    for name, loss in (
        ("l1", (f - x).abs().mean()),
        ("l2", (f - x).square().mean()),
        ("proximal-matching", (1 - torch.exp(-(f - x).square().sum(dim=1) / 0.7**2)).mean()),
    ):
        (expected,) = torch.autograd.grad(loss, f, retain_graph=True)
        found = slope(Stage(name, 1e-3, 1, 0.7), x)(f.detach())
        if name == "l1":  # where f = x the two conventions may differ
            found, expected = found[:1], expected[:1]
        torch.testing.assert_close(found, expected)


def test_the_schedule_starts_with_l1_and_ends_narrow():
    stages = schedule("proximal-matching", 1, 1.0, None, 3000, 5500)
    assert [stage.loss for stage in stages[:2]] == ["l1", "l1"]
    gammas = [stage.gamma for stage in stages if stage.loss == "proximal-matching"]
    assert gammas == sorted(gammas, reverse=True)
    assert (gammas[0], gammas[-1]) == (0.5, 0.1)
    assert sum(stage.steps for stage in stages) == 8500
    images = schedule("proximal-matching", 64, 1.0, None, 10, 40)
    np.testing.assert_allclose([stage.gamma for stage in images[2:]], 0.08 * 8 * np.array([8, 4, 2, 1]))
    given = schedule("proximal-matching", 1, 1.0, (3.0, 1.0, 0.5), 0, 10)
    assert sum(stage.steps for stage in given) == 10
    assert {stage.loss for stage in schedule("l2", 1, 1.0, None, 5, 6)} == {"l2"}


def test_gammas_are_in_the_unit_of_the_data():
    made = {}
    for unit in (1.0, 1000.0):
        problem = PriorLearning(samples=unit * normal(d=1).samples, noise=0.5 * unit)
        options = {**SHORT, "gammas": (unit, unit / 2), "pretrain_steps": 20, "steps": 30}
        made[unit] = solvary.solve(problem, ID, **options).answer.prox(unit * np.ones((1, 1))) / unit
    np.testing.assert_allclose(made[1000.0], made[1.0], atol=1e-4)


def test_training_goes_on_from_a_file(tmp_path, laplace):
    problem, solution = laplace
    path = tmp_path / "prior.npz"
    solution.save(path)
    options = {**SHORT, "hidden": 20, "pretrain_steps": 0, "steps": 0, "weights": str(path)}
    again = solvary.solve(problem, ID, **options).answer
    y = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_allclose(again.prox(y), solution.answer.prox(y), rtol=1e-6)
    with pytest.raises(OptionError, match=r"weights.*hidden=20"):
        solvary.solve(problem, ID, **{**options, "hidden": 21})
    with pytest.raises(OptionError, match=r"weights.*cannot read"):
        solvary.solve(problem, ID, **{**options, "weights": str(tmp_path / "none.npz")})


def test_a_file_with_a_negative_weight_is_refused(tmp_path, laplace):
    problem, solution = laplace
    arrays = {name: part.copy() for name, part in solution.answer.arrays.items()}
    arrays["weight.core.0.weight"][0, 1] = -1e-3
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(OptionError, match=r"weights: core\.0\.weight has the entry -0\.001"):
        solvary.solve(problem, ID, **{**SHORT, "hidden": 20, "weights": str(tmp_path / "bad.npz")})
    arrays["weight.core.0.weight"][0, 1] = 0.0
    arrays["weight.skip.0.weight"][:] = -1.0  # free of sign
    unpack(arrays)
    del arrays["weight.exit.weight"]
    with pytest.raises(OptionError, match=r"weights.*exit"):
        unpack(arrays)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": -1.0}, "beta"),
        ({"strong_convexity": -0.1}, "strong_convexity"),
        ({"hidden": 0}, "hidden"),
        ({"layers": 0}, "layers"),
        ({"batch": 0}, "batch"),
        ({"loss": "l3"}, "loss"),
        ({"gammas": (0.1, 0.2)}, "gammas"),
        ({"gammas": ()}, "gammas"),
        ({"gammas": (0.0,)}, "gammas"),
        ({"convolutional": True}, "convolutional"),
    ],
)
def test_bad_options_are_refused_by_name(options, named):
    with pytest.raises(OptionError) as refused:
        solvary.solve(normal(), ID, **{**SHORT, **options})
    assert refused.value.field == named


def test_no_noise_is_refused():
    with pytest.raises(ProblemError, match="noise"):
        PriorLearning(samples=np.zeros((3, 1)), noise=0.0)


def test_few_samples_are_answered_with_a_warning(caplog):
    tiny = PriorLearning(samples=np.ones((1, 1)), noise=1.0)
    with caplog.at_level(logging.WARNING):
        solution = solvary.solve(tiny, ID, **{**SHORT, "pretrain_steps": 2, "steps": 2})
    assert "only 1 samples" in solution.report["warning"]
    assert "only 1 samples" in caplog.text
    assert "warning" not in solvary.solve(normal(), ID, **{**SHORT, "pretrain_steps": 1, "steps": 1}).report


def test_no_steps_still_give_a_prox():
    solution = solvary.solve(normal(), ID, **{**SHORT, "pretrain_steps": 0, "steps": 0})
    assert solution.measures["feasible"]


def test_cuda_agrees_with_cpu(emulated_cuda):
    problem = normal(d=6, shape=(2, 3))
    for convolutional in (False, True):
        options = {**SHORT, "hidden": 3, "pretrain_steps": 10, "steps": 10, "convolutional": convolutional}
        found = [solvary.solve(problem, ID, **{**options, "backend": name}) for name in ("cpu", "cuda")]
        assert found[1].provenance.backend == "cuda"
        y = np.random.default_rng(0).standard_normal((5, 6))
        np.testing.assert_allclose(found[0].answer.prox(y), found[1].answer.prox(y), rtol=1e-4, atol=1e-5)
