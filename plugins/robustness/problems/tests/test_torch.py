import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from solvary import ProblemError
from solvary_robustness import LipschitzBound, Network
from solvary_robustness import torch_layers as tl

torch.set_num_threads(1)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_round_trip_and_autograd(random_network, seed):
    network = random_network(seed)
    module = network.to_torch()
    x = torch.tensor(np.random.default_rng(seed).standard_normal((3, 24)), requires_grad=True)
    y = module(x)
    np.testing.assert_allclose(network.forward(x.detach().numpy()), y.detach().numpy(), atol=1e-11)
    for output in range(5):
        (gradient,) = torch.autograd.grad(y[:, output].sum(), x, retain_graph=True)
        np.testing.assert_allclose(network.jacobian(x.detach().numpy())[:, output], gradient.numpy(), atol=1e-11)
    again = Network.from_torch(module)
    np.testing.assert_allclose(again.forward(x.detach().numpy()), y.detach().numpy(), atol=1e-11)


def test_nested_float32_module_with_a_shared_relu():
    torch.manual_seed(0)
    relu = nn.ReLU()
    body = nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU(0.2), nn.Dropout(0.5))
    module = nn.Sequential(
        nn.Linear(4, 6), relu, nn.Sequential(tl.Residual(body), relu), nn.Identity(), nn.Linear(6, 2)
    )
    module.eval()
    network = Network.from_torch(module)
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(network.forward(x.numpy()), module(x).numpy(), atol=1e-5)
    assert len(network.layers) == 5


@pytest.mark.parametrize(("groups", "dilation", "padding"), [(1, 1, 1), (2, 1, "valid"), (1, 2, 0), (2, 2, 2)])
def test_convolutions_with_groups_and_dilation(groups, dilation, padding):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 2, stride=2, padding=padding, dilation=dilation, groups=groups, dtype=torch.float64),
        nn.ReLU(),
        nn.Flatten(),
    )
    network = Network.from_torch(module, input_shape=(2, 6, 5))
    x = torch.randn(3, 2, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(network.forward(x.flatten(1).numpy()), module(x).numpy(), atol=1e-12)


def test_group_activations_of_torch_modules():
    torch.manual_seed(0)
    vectors = nn.functional.normalize(torch.randn(2, 3), dim=1)
    module = nn.Sequential(nn.Linear(4, 6), tl.GroupSort(3), tl.Householder(vectors), tl.MaxMin(), nn.Linear(6, 1))
    network = Network.from_torch(module)
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(network.forward(x.numpy()), module(x).numpy(), atol=1e-5)


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


def _hooked():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda module, given, out: out + 1)
    return module


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Tanh())), r"layer 1\.0 \(Tanh\) is not supported"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), r"layer 1 \(BatchNorm1d\) is not supported"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout()), r"layer 1 \(Dropout\) is in training mode"),
        (lambda: nn.Sequential(nn.Conv2d(1, 1, 2), nn.Flatten()), r"layer 0 \(Conv2d\): the shape of its input"),
        (lambda: Doubled(nn.Linear(2, 2)), r"\(Doubled\) is not supported"),
        (_hooked, "does not compute what its layers say"),
        (lambda: nn.Sequential(nn.Linear(2, 3), tl.GroupSort(2)), r"GroupSort\): the group size 2 does not divide"),
        (lambda: nn.Sequential(nn.Linear(2, 2), tl.Householder(torch.tensor([[1.0, 1.0]]))), "has norm"),
        (lambda: nn.Sequential(nn.ReLU()), "no layer that fixes the input size"),
    ],
)
def test_other_modules_are_refused_by_name(make, words):
    with pytest.raises(ProblemError, match=words) as caught:
        LipschitzBound(network=make())
    assert caught.value.field == "network"
