# SPDX-License-Identifier: Apache-2.0
"""The small networks of data/golden.

Channel counts are deliberately no multiples of a SIMD width, and between them the networks meet
every kind of layer that the engine has. Hidden linear layers have at least 26 units: with fewer,
the 98th percentile of RectGrad is the maximum, nothing exceeds it and the map is zero.
"""

import math
from dataclasses import dataclass

import torch
from netspec import Net, TorchNet
from torch import nn


@dataclass
class Case:
    """A network, its input range per channel (also the bounds of the z^B rule) and its seed."""

    net: Net
    batch: int
    low: tuple
    high: tuple
    biased: bool
    seed: int


def plain():
    net = Net((3, 16, 16))
    net.add_op("features.0", "conv", in_channels=3, out_channels=5, kernel_size=3, padding=1)
    net.add_op("features.1", "relu")
    net.add_op("features.2", "conv", in_channels=5, out_channels=12, kernel_size=3, padding=1)
    net.add_op("features.3", "relu")
    net.add_op("features.4", "maxpool", kernel_size=2)
    net.add_op("features.5", "conv", in_channels=12, out_channels=24, kernel_size=5, padding=2)
    net.add_op("features.6", "relu")
    net.add_op("features.7", "maxpool", kernel_size=3, stride=2)
    net.add_op("flatten", "flatten")
    net.add_op("classifier.0", "linear", in_features=24 * 3 * 3, out_features=60)
    net.add_op("classifier.1", "relu")
    net.add_op("classifier.2", "linear", in_features=60, out_features=7)
    return net


def _conv_bn(net, name, bn, src, **conv):
    net.add_op(name, "conv", src, **{"bias": False, **conv})
    return net.add_op(bn, "bn", num_features=conv["out_channels"])


def _block(net, name, src, ic, oc, stride):
    """torchvision's BasicBlock; one of its convolutions keeps a bias next to its batch norm."""
    three = dict(kernel_size=3, padding=1)
    conv1 = dict(in_channels=ic, out_channels=oc, stride=stride, bias=stride > 1, **three)
    _conv_bn(net, f"{name}.conv1", f"{name}.bn1", src, **conv1)
    mid = net.add_op(f"{name}.relu1", "relu")
    conv2 = dict(in_channels=oc, out_channels=oc, **three)
    main = _conv_bn(net, f"{name}.conv2", f"{name}.bn2", mid, **conv2)
    if stride > 1:
        down = dict(in_channels=ic, out_channels=oc, kernel_size=1, stride=stride)
        src = _conv_bn(net, f"{name}.downsample.0", f"{name}.downsample.1", src, **down)
    net.add_op(f"{name}.add", "add", (main, src))
    return net.add_op(f"{name}.relu2", "relu")


def residual():
    net = Net((3, 20, 20))
    stem = dict(in_channels=3, out_channels=12, kernel_size=3, padding=1)
    _conv_bn(net, "conv1", "bn1", None, **stem)
    net.add_op("relu", "relu")
    pool = net.add_op("maxpool", "maxpool", kernel_size=3, stride=2, padding=1)
    block = _block(net, "layer1.0", pool, 12, 12, 1)
    _block(net, "layer2.0", block, 12, 24, 2)
    net.add_op("avgpool", "gap")
    net.add_op("flatten", "flatten")
    net.add_op("fc", "linear", in_features=24, out_features=9)
    return net


def _conv_relu(net, name, src, **conv):
    net.add_op(f"{name}.conv", "conv", src, **conv)
    return net.add_op(f"{name}.relu", "relu")


def _branches(net, src, ic):
    """Inception in small: 1x1; 1x1, grouped 3x3, dilated 3x3; average pool, 1x1."""
    one = _conv_relu(net, "b1", src, in_channels=ic, out_channels=6, kernel_size=1)
    _conv_relu(net, "b2.0", src, in_channels=ic, out_channels=9, kernel_size=1)
    grouped = dict(in_channels=9, out_channels=12, kernel_size=3, padding=1, groups=3)
    _conv_relu(net, "b2.1", None, **grouped)
    dilated = dict(in_channels=12, out_channels=7, kernel_size=3, padding=2, dilation=2)
    two = _conv_relu(net, "b2.2", None, **dilated)
    window = dict(kernel_size=3, stride=1, padding=1, count_include_pad=False)
    pool = net.add_op("b3.pool", "avgpool", src, **window)
    three = _conv_relu(net, "b3", pool, in_channels=ic, out_channels=5, kernel_size=1)
    return net.add_op("concat", "concat", (one, two, three))


def concat():
    net = Net((3, 18, 18))
    _conv_relu(net, "stem", None, in_channels=3, out_channels=10, kernel_size=3)
    uneven = dict(in_channels=10, out_channels=12, kernel_size=3, pads=(1, 0, 2, 1))
    _conv_relu(net, "uneven", None, **uneven)
    pool = net.add_op("pool", "maxpool", kernel_size=2, stride=2, ceil_mode=True)
    _branches(net, pool, 12)
    depthwise = dict(in_channels=18, out_channels=18, kernel_size=3, padding=1, groups=18)
    _conv_relu(net, "depthwise", None, **depthwise)
    window = dict(kernel_size=3, stride=2, padding=1, count_include_pad=True)
    net.add_op("avgpool", "avgpool", **window)
    _conv_relu(net, "pointwise", None, in_channels=18, out_channels=20, kernel_size=1)
    net.add_op("flatten", "flatten")
    net.add_op("fc", "linear", in_features=20 * 5 * 4, out_features=6)
    return net


def bias_free():
    net = Net((3, 16, 16))
    three = dict(kernel_size=3, padding=1, bias=False)
    for index, ic, oc in ((0, 3, 6), (2, 6, 12), (5, 12, 20), (7, 20, 20)):
        net.add_op(f"features.{index}", "conv", in_channels=ic, out_channels=oc, **three)
        net.add_op(f"features.{index + 1}", "relu")
        if index in (2, 7):
            net.add_op(f"features.{index + 2}", "maxpool", kernel_size=2)
    net.add_op("flatten", "flatten")
    net.add_op("classifier.0", "linear", in_features=320, out_features=56, bias=False)
    net.add_op("classifier.1", "relu")
    net.add_op("classifier.2", "linear", in_features=56, out_features=5, bias=False)
    return net


def _dw(net, name, src, channels, stride):
    three = dict(in_channels=channels, out_channels=channels, kernel_size=3, padding=1)
    _conv_bn(net, f"{name}.conv", f"{name}.bn", src, stride=stride, groups=channels, **three)
    return net.add_op(f"{name}.relu", "relu")


def _bottleneck(net, name, src, ic, oc, stride):
    """MobileNetV2's block: widen, filter by channel, project without a ReLU; residual if it fits."""
    wide = 3 * ic
    one = dict(in_channels=ic, out_channels=wide, kernel_size=1)
    _conv_bn(net, f"{name}.expand.conv", f"{name}.expand.bn", src, **one)
    net.add_op(f"{name}.expand.relu", "relu")
    mid = _dw(net, f"{name}.depthwise", None, wide, stride)
    back = dict(in_channels=wide, out_channels=oc, kernel_size=1)
    out = _conv_bn(net, f"{name}.project.conv", f"{name}.project.bn", mid, **back)
    return net.add_op(f"{name}.add", "add", (out, src)) if (ic, stride) == (oc, 1) else out


def mobile():
    net = Net((3, 18, 18))
    stem = dict(in_channels=3, out_channels=12, kernel_size=3, stride=2, padding=1)
    _conv_bn(net, "stem.conv", "stem.bn", None, **stem)
    net.add_op("stem.relu", "relu")
    block = _bottleneck(net, "block1", "stem.relu", 12, 10, 1)
    block = _bottleneck(net, "block2", block, 10, 10, 1)
    _bottleneck(net, "block3", block, 10, 14, 2)
    _conv_bn(net, "head.conv", "head.bn", None, in_channels=14, out_channels=28, kernel_size=1)
    net.add_op("head.relu", "relu")
    net.add_op("avgpool", "gap")
    net.add_op("flatten", "flatten")
    net.add_op("fc", "linear", in_features=28, out_features=6)
    return net


def nonneg():
    net = Net((1, 17, 20))
    _conv_relu(net, "c1", None, in_channels=1, out_channels=10, kernel_size=5, padding=2)
    net.add_op("pool1", "maxpool", kernel_size=3, stride=2, ceil_mode=True)
    tall = dict(kernel_size=(3, 1), padding=(1, 0))
    _conv_relu(net, "c2", None, in_channels=10, out_channels=18, **tall)
    net.add_op("pool2", "maxpool", kernel_size=3, stride=1, padding=1)
    wide = dict(kernel_size=(2, 3), stride=(1, 2))
    _conv_relu(net, "c3", None, in_channels=18, out_channels=21, **wide)
    net.add_op("flatten", "flatten")
    net.add_op("fc1", "linear", in_features=21 * 7 * 4, out_features=40)
    net.add_op("relu", "relu")
    net.add_op("fc2", "linear", in_features=40, out_features=5)
    return net


def dilated():
    net = Net((4, 19, 17))
    first = dict(out_channels=12, kernel_size=3, dilation=2, groups=2, pads=(2, 1, 3, 2))
    _conv_relu(net, "c1", None, in_channels=4, **first)
    second = dict(out_channels=15, kernel_size=3, dilation=(2, 1), groups=3, pads=(0, 1, 1, 0))
    _conv_relu(net, "c2", None, in_channels=12, **second)
    third = dict(out_channels=20, kernel_size=3, dilation=3, padding=3)
    net.add_op("c3.conv", "conv", in_channels=15, **third)
    net.add_op("c3.pool", "maxpool", kernel_size=2)
    net.add_op("c3.relu", "relu")
    _conv_relu(net, "c4", None, in_channels=20, out_channels=26, kernel_size=1, stride=2)
    net.add_op("avgpool", "avgpool", kernel_size=2, stride=1)
    net.add_op("flatten", "flatten")
    net.add_op("fc1", "linear", in_features=26 * 3 * 3, out_features=30)
    net.add_op("relu", "relu")
    net.add_op("fc2", "linear", in_features=30, out_features=8)
    return net


def capped():
    """Caps that many units reach and, at the stem, ReLU6; one ReLU without."""
    net = Net((3, 12, 12))
    stem = dict(in_channels=3, out_channels=10, kernel_size=3, padding=1)
    _conv_bn(net, "stem.conv", "stem.bn", None, **stem)
    net.add_op("stem.relu", "cap", cap=6.0)
    wide = dict(in_channels=10, out_channels=18, kernel_size=1)
    _conv_bn(net, "block.expand.conv", "block.expand.bn", "stem.relu", **wide)
    net.add_op("block.expand.relu", "cap", cap=2.0)
    deep = dict(in_channels=18, out_channels=18, kernel_size=3, padding=1, groups=18)
    _conv_bn(net, "block.depthwise.conv", "block.depthwise.bn", None, **deep)
    net.add_op("block.depthwise.relu", "cap", cap=1.5)
    back = dict(in_channels=18, out_channels=10, kernel_size=1)
    out = _conv_bn(net, "block.project.conv", "block.project.bn", None, **back)
    net.add_op("block.add", "add", (out, "stem.relu"))
    net.add_op("block.relu", "cap", cap=3.0)
    net.add_op("pool", "maxpool", kernel_size=2)
    _conv_relu(net, "head", None, in_channels=10, out_channels=26, kernel_size=3, stride=2)
    net.add_op("flatten", "flatten")
    net.add_op("fc1", "linear", in_features=26 * 2 * 2, out_features=32)
    net.add_op("fc1.relu", "cap", cap=1.0)
    net.add_op("fc2", "linear", in_features=32, out_features=6)
    return net


# Seeds: the first for which golden.py finds every decision (ReLU sign, pooling winner, RectGrad
# threshold) far enough from its tipping point; `golden.py --search` finds them again.
CASES = {
    "plain": Case(plain(), 3, (-2.0,) * 3, (2.5,) * 3, True, 21),
    "residual": Case(residual(), 2, (-2.1, -2.0, -1.8), (2.2, 2.4, 2.6), True, 1),
    "concat": Case(concat(), 2, (-1.0,) * 3, (1.0,) * 3, True, 8),
    "bias-free": Case(bias_free(), 2, (0.0,) * 3, (1.0,) * 3, False, 7),
    "mobile": Case(mobile(), 2, (-2.0,) * 3, (2.0,) * 3, True, 82),
    "nonneg": Case(nonneg(), 3, (0.0,), (1.0,), True, 6),
    "capped": Case(capped(), 2, (-4.0,) * 3, (4.0,) * 3, True, 7),
    "dilated": Case(dilated(), 2, (-1.5, -1.0, -2.0, -1.0), (1.0, 1.0, 1.5, 2.0), True, 2),
}


def _fill(module, generator):
    """He weights, biases of a few tenths, batch-norm statistics far from the neutral ones."""

    def normal(shape, scale):
        return torch.randn(shape, generator=generator) * scale

    def uniform(shape, low, high):
        return torch.rand(shape, generator=generator) * (high - low) + low

    if isinstance(module, nn.BatchNorm2d):
        module.weight.data = uniform(module.weight.shape, 0.5, 1.5)
        module.bias.data = normal(module.bias.shape, 0.3)
        module.running_mean = normal(module.running_mean.shape, 0.5)
        module.running_var = uniform(module.running_var.shape, 0.5, 2.0)
    elif isinstance(module, (nn.Conv2d, nn.Linear)):
        fan_in = module.weight[0].numel()
        module.weight.data = normal(module.weight.shape, math.sqrt(2 / fan_in))
        if module.bias is not None:
            module.bias.data = normal(module.bias.shape, 0.2)


def build(case, seed):
    """(model, input), both float32: the network in evaluation mode and a batch within its range."""
    generator = torch.Generator().manual_seed(seed)
    model = TorchNet(case.net)
    for module in model.modules():
        _fill(module, generator)
    low = torch.tensor(case.low).reshape(1, -1, 1, 1)
    high = torch.tensor(case.high).reshape(1, -1, 1, 1)
    x = torch.rand((case.batch, *case.net.input_shape), generator=generator)
    return model.eval(), low + x * (high - low)
