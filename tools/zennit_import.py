# SPDX-License-Identifier: Apache-2.0
"""Imports zennit where torchvision is missing.

zennit imports torchvision for two class names that its ResNet canonizer looks for. There is no CPU
build of torchvision for this torch, and none of our networks comes from it, so empty classes do.
"""

import sys
import types


def _stub():
    names = ("torchvision", "torchvision.models", "torchvision.models.resnet")
    modules = {name: types.ModuleType(name) for name in names}
    resnet = modules["torchvision.models.resnet"]
    resnet.Bottleneck = type("Bottleneck", (), {})
    resnet.BasicBlock = type("BasicBlock", (), {})
    modules["torchvision"].models = modules["torchvision.models"]
    modules["torchvision.models"].resnet = resnet
    sys.modules.update(modules)


try:
    import torchvision  # noqa: F401
except ImportError:
    _stub()

from zennit import composites, rules  # noqa: E402, F401
from zennit.core import Composite  # noqa: E402, F401
from zennit.layer import Sum  # noqa: E402, F401
