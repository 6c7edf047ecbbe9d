"""Input-convex networks: convexity, their gradients, and the gradients of losses of these."""

import numpy as np
import pytest
import torch

from solvary_inverse.adam import Adam
from solvary_inverse.convex_layers import ConvexNetwork, InputConvexConvolutional, InputConvexDense


def networks():
    smooth = {"beta": 10.0, "strong_convexity": 0.1}
    return {
        "one-number": InputConvexDense(1, hidden=5, layers=2, beta=10.0),
        "dense": InputConvexDense(3, hidden=7, layers=4, **smooth),
        "shallow": InputConvexDense(2, hidden=4, layers=0, **smooth),
        "images": InputConvexConvolutional((2, 5, 4), hidden=3, layers=4, **smooth),
        "pixels": InputConvexConvolutional((1, 1, 1), hidden=2, layers=1, **smooth),
    }


@pytest.fixture(params=networks())
def network(request):
    made = networks()[request.param].double()
    made.initialise(torch.Generator().manual_seed(0))
    return made


def points(network, count, seed=0):
    entry = network.entry.weight
    d = entry.shape[1] if entry.dim() == 2 else int(np.prod(network.shape))
    return torch.randn(count, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_is_that_of_the_potential(network):
    y = points(network, 5)
    psi, f = network.evaluate(y)
    torch.testing.assert_close(psi, network.potential(y))
    point = y.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(network.potential(point).sum(), point)
    torch.testing.assert_close(f, expected, rtol=1e-10, atol=1e-12)


def test_the_potential_is_convex_along_segments(network):
    one, two = 4 * points(network, 200, 1), 4 * points(network, 200, 2)
    t = torch.rand(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    between = network.potential(t * one + (1 - t) * two)
    chord = t[:, 0] * network.potential(one) + (1 - t[:, 0]) * network.potential(two)
    assert (between <= chord + 1e-12 * (1 + chord.abs())).all()


def test_a_negative_weight_between_layers_spoils_convexity_and_clamping_mends_it():
    network = InputConvexDense(1, hidden=1, layers=1, beta=10.0).double()
    network.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.entry.weight.fill_(1.0)
        network.skip[0].weight.zero_()
        network.skip[0].bias.fill_(2.0)
        network.core[0].weight.fill_(-1.0)
        network.exit.weight.fill_(1.0)
        y = torch.linspace(-3, 3, 301, dtype=torch.float64)[:, None]
        assert network.evaluate(y)[1].diff(dim=0).min() < -1e-4
        network.clamp()
        assert network.evaluate(y)[1].diff(dim=0).min() >= -1e-12
        assert (network.skip[0].weight == 0).all()


def test_skip_weights_stay_free_of_sign():
    network = InputConvexDense(4, hidden=6, layers=2, beta=10.0)
    network.initialise(torch.Generator().manual_seed(0))
    assert (network.entry.weight < 0).any()
    assert (network.skip[0].weight < 0).any()
    assert all((weight >= 0).all() for _, weight in network.constrained())


def test_the_written_out_gradient_of_a_loss_is_that_of_automatic_differentiation(network):
    y, x = points(network, 6, 4), points(network, 6, 5)

    def slope(f):
        return 2 * (f - x) * torch.exp(-(f - x).square())

    found = network.backward(y, slope)
    own = {name: part.grad.clone() for name, part in network.named_parameters() if part.grad is not None}
    network.zero_grad(set_to_none=True)
    expected = ConvexNetwork.backward(network, y, slope)
    torch.testing.assert_close(found, expected)
    for name, part in network.named_parameters():
        if part.grad is not None and name in own:
            torch.testing.assert_close(own[name], part.grad, rtol=1e-9, atol=1e-12)
        else:
            assert part.grad is None or not part.grad.any()


def test_saturated_units_give_no_overflow():
    network = InputConvexDense(1, hidden=3, layers=2, beta=10.0)
    network.initialise(torch.Generator().manual_seed(0))
    psi, f = network.evaluate(torch.tensor([[-1e6], [1e6], [0.0]]))
    assert torch.isfinite(psi).all()
    assert torch.isfinite(f).all()
    network.backward(torch.tensor([[-1e6], [1e6]]), torch.sign)
    assert all(part.grad is None or torch.isfinite(part.grad).all() for part in network.parameters())


def test_adam_takes_the_steps_of_its_formula():
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = Adam([weight])
    m, v, expected = np.zeros(2), np.zeros(2), np.array([1.0, -2.0])
    for t in range(1, 6):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step(0.1)
        gradient = 3 * expected**2
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected = expected - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5)
