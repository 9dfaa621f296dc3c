# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of tests/test_deeplift.c: captum's DeepLift, in double precision, on a network
for which it is right and on one for which it is not (a ReLU directly before a max-pool whose
windows overlap). Weights, images and references are the sines that the test uses too."""
import captum
import numpy as np
import torch
from captum.attr import DeepLift
from torch import nn


def wave(count, step, scale):
    """Single precision, since that is what the C library is given."""
    return np.float32(scale * np.sin(1 + step * np.arange(count))).astype(np.float64)


def fill(layer, step):
    weight = layer.weight
    scale = 1.5 / np.sqrt(weight[0].numel())
    weight.data = torch.from_numpy(wave(weight.numel(), step, scale)).reshape(weight.shape)
    layer.bias.data = torch.from_numpy(wave(layer.bias.numel(), step + 1, 0.2))


def network(pool):
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2, 1)] if pool else [nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(27, 5), nn.ReLU(), nn.Linear(5, 4)]
    net = nn.Sequential(*layers).double()
    for i, layer in enumerate(m for m in net if hasattr(m, "weight")):
        fill(layer, 0.7 + 0.11 * i)
    return net


def table(pool):
    net = network(pool)
    x = torch.from_numpy(wave(72, 0.37, 1.0)).reshape(1, 2, 6, 6)
    reference = torch.from_numpy(wave(72, 0.91, 0.6)).reshape(1, 2, 6, 6)
    got = DeepLift(net).attribute(x, reference, target=2).detach().numpy().ravel()
    difference = (net(x) - net(reference))[0, 2].item()
    print(f"pool {pool}: difference {difference:.17g}, sum {got.sum():.17g}")
    print(",\n".join("    " + ", ".join(f"{v:.17g}" for v in got[i : i + 4]) for i in range(0, 72, 4)))


if __name__ == "__main__":
    print(f"captum {captum.__version__}, torch {torch.__version__}")
    table(False)
    table(True)
