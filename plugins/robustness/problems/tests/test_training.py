import numpy as np
import pytest
import torch

from solvary import ProblemError
from solvary_robustness import Dense, Network
from solvary_robustness.attacks import accuracy_under_pgd, margin_loss, pgd, project
from solvary_robustness.data import breast_cancer, digits, wine
from solvary_robustness.training import (
    accuracy,
    ibp_loss,
    interval_logits,
    make_mlp,
    noise_loss,
    pgd_loss,
    plain_loss,
    train,
)

torch.set_num_threads(1)


def _linear(weight):
    return Network([Dense(np.array([weight, -np.array(weight)]) / 2)]).to_torch()


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_pgd_on_a_linear_classifier_reaches_the_closed_form(norm, dual):
    """The largest margin loss of w x over the ball is -w x + eps |w| in the dual norm."""
    w = np.array([1.0, -2.0, 0.5])
    x = torch.tensor(np.random.default_rng(0).standard_normal((20, 3)))
    labels = torch.zeros(20, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    attacked = pgd(_linear(w), x, labels, 0.3, norm=norm, steps=30, restarts=2, generator=generator)
    losses = margin_loss(_linear(w)(attacked), labels)
    expected = -x.numpy() @ w + 0.3 * np.linalg.norm(w, dual)
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-6, atol=1e-6)
    lengths = (attacked - x).norm(dim=1, p=2 if norm == "l2" else torch.inf)
    assert float(lengths.max()) <= 0.3 * (1 + 1e-12)


def test_pgd_stays_in_the_box_and_at_the_input_for_no_radius():
    x = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(10, dtype=torch.long)
    module = _linear([1.0, 1.0, 1.0]).float()
    attacked = pgd(module, x, labels, 0.8, box=(0.0, 1.0), steps=5, restarts=3)
    assert float(attacked.min()) >= 0.0
    assert float(attacked.max()) <= 1.0
    for norm in ("l2", "linf"):
        assert torch.equal(pgd(module, x, labels, 0.0, norm=norm, steps=3), x)


def test_projection_is_the_nearest_point():
    delta = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(project(delta, 1.0, "l2"), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(project(delta, 1.0, "linf"), [[1.0, 1.0], [0.3, 0.4], [0.0, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("loss", [plain_loss, noise_loss(0.1), pgd_loss(0.05, steps=2, warm=0.5)])
def test_training_learns_and_repeats(loss):
    data = wine()
    nets = []
    for _ in range(2):
        module = make_mlp((13, 16, 3), seed=1)
        before = accuracy(module, data.test, data.test_labels)
        train(module, data.train, data.train_labels, epochs=40, seed=2, learning_rate=1e-2, loss=loss)
        nets.append(Network.from_torch(module))
    assert accuracy(module, data.test, data.test_labels) > max(0.85, before)
    np.testing.assert_array_equal(nets[0].layers[0].weight, nets[1].layers[0].weight)


def test_training_on_attacks_makes_it_more_robust():
    data = breast_cancer()
    x, labels = torch.tensor(data.test, dtype=torch.float32), torch.tensor(data.test_labels)
    robust = []
    for loss in (plain_loss, pgd_loss(0.1, steps=4)):
        module = make_mlp((30, 32, 2), seed=0)
        train(module, data.train, data.train_labels, epochs=15, learning_rate=5e-3, loss=loss)
        robust.append(accuracy_under_pgd(module, x, labels, 0.1, box=(0.0, 1.0), steps=10, restarts=1))
    assert robust[1] > robust[0] + 0.05


def test_interval_logits_contain_all_logits_and_training_tightens_them():
    data = wine()
    x, labels = torch.tensor(data.test), torch.tensor(data.test_labels)
    certified = []
    for loss in (plain_loss, ibp_loss(0.05)):
        module = make_mlp((13, 16, 3), seed=0, dtype=torch.float64)
        train(module, data.train, data.train_labels, epochs=60, learning_rate=1e-2, loss=loss)
        with torch.no_grad():
            low, high = interval_logits(module, x - 0.05, x + 0.05)
            for seed in range(20):
                noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
                logits = module(x + 0.05 * (2 * noise - 1).sign())
                assert bool((logits >= low - 1e-12).all() and (logits <= high + 1e-12).all())
        own = torch.nn.functional.one_hot(labels, 3).bool()
        worst = margin_loss(torch.where(own, low, high), labels)
        certified.append(float((worst < 0).double().mean()))
    assert certified[1] > certified[0] + 0.05
    with pytest.raises(ProblemError, match="Tanh has no interval bound"):
        interval_logits(torch.nn.Sequential(torch.nn.Tanh()), x, x)


def test_data_is_split_once_for_all():
    data = digits()
    assert data.train.shape == (1400, 64)
    assert data.test.shape == (397, 64)
    assert (data.train.min(), data.train.max(), data.classes) == (0.0, 1.0, 10)
    np.testing.assert_array_equal(data.test, digits().test)
    with pytest.raises(ValueError):
        data.test[0] = 0
