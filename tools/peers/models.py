# SPDX-License-Identifier: Apache-2.0
"""VGG-16 and ResNet-50 with torchvision's names for all layers that have weights, He-initialised.

No torchvision is needed. Unlike there, no ReLU module is used twice, because captum's LRP refuses
that, and the residual sum is a module, so that each tool can have the one it understands.
"""

import torch
from torch import nn

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
RESNET50 = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
EXPANSION = 4


class PlainAdd(nn.Module):
    """u + v"""

    def forward(self, u, v):
        return u + v


def _conv_bn(conv, bn, x):
    """bn is None once it has been folded; an Identity would stop captum's LRP."""
    return conv(x) if bn is None else bn(conv(x))


class VGG(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        layers, ic = [], 3
        for width in VGG16:
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(ic, width, 3, padding=1), nn.ReLU(inplace)]
            ic = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Bottleneck(nn.Module):
    def __init__(self, ic, width, stride, inplace, add):
        super().__init__()
        oc = width * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(ic, width, 1, bias=False), nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU(inplace)
        self.conv3, self.bn3 = nn.Conv2d(width, oc, 1, bias=False), nn.BatchNorm2d(oc)
        self.downsample = None
        if stride > 1 or ic != oc:
            conv = nn.Conv2d(ic, oc, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(oc))
        self.add, self.relu3 = add(), nn.ReLU(inplace)

    def forward(self, x):
        y = self.relu1(_conv_bn(self.conv1, self.bn1, x))
        y = self.relu2(_conv_bn(self.conv2, self.bn2, y))
        y = _conv_bn(self.conv3, self.bn3, y)
        skip = x if self.downsample is None else self.downsample(x)
        return self.relu3(self.add(y, skip))


class ResNet(nn.Module):
    def __init__(self, inplace, add):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace), nn.MaxPool2d(3, 2, padding=1)
        ic = 64
        for index, (width, count, stride) in enumerate(RESNET50, start=1):
            blocks = []
            for position in range(count):
                step = stride if position == 0 else 1
                blocks.append(Bottleneck(ic, width, step, inplace, add))
                ic = width * EXPANSION
            setattr(self, f"layer{index}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(ic, 1000)

    def forward(self, x):
        x = self.maxpool(self.relu(_conv_bn(self.conv1, self.bn1, x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _initialise(model, seed):
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def fold(model):
    """Folds batch norms into their convolutions, in place."""
    fuse = torch.nn.utils.fuse_conv_bn_eval
    for owner in list(model.modules()):
        for conv, bn in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")):
            if isinstance(getattr(owner, bn, None), nn.BatchNorm2d):
                setattr(owner, conv, fuse(getattr(owner, conv), getattr(owner, bn)))
                setattr(owner, bn, None)
        if isinstance(getattr(owner, "downsample", None), nn.Sequential):
            owner.downsample = nn.Sequential(fuse(*owner.downsample))
    return model


class Factory:
    """Makes any number of copies of a model that share one set of weights."""

    def __init__(self, name, seed=1):
        self.name = name
        reference = self._skeleton(False, PlainAdd)
        reference.to_empty(device="cpu")
        for module in reference.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        _initialise(reference, seed)
        self.state = reference.state_dict()

    def _skeleton(self, inplace, add):
        with torch.device("meta"):
            return VGG(inplace) if self.name == "vgg16" else ResNet(inplace, add)

    def make(self, inplace=False, add=PlainAdd):
        """In evaluation mode, batch norms folded, weights without gradients."""
        model = self._skeleton(inplace, add)
        model.load_state_dict(self.state, assign=True)
        return fold(model.eval().requires_grad_(False)).requires_grad_(False)


NAMES = ("vgg16", "resnet50")
