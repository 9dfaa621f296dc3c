# SPDX-License-Identifier: Apache-2.0
"""captum's methods beyond the plain gradient family, and what it gets wrong.

Every function is fn(model, x, target, params) -> tensor like x, and computes in the model's dtype.
"""

import copy
import types

import captum.attr
import torch
from common import folded, targets
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from captum.attr._core import deep_lift
from netspec import CappedReLU, StackedAdd, TorchNet
from torch import nn

RULES = {"gauss-legendre": "gausslegendre"}
RULES.update({s: f"riemann_{s}" for s in ("left", "right", "middle", "trapezoid")})


def integrated_gradients(model, x, target, params):
    steps, rule = int(params.get("n", 50)), RULES[params.get("rule", "gauss-legendre")]
    tool = captum.attr.IntegratedGradients(model)
    index = targets(model(x), target)
    return tool.attribute(x, baselines(x, params), target=index, n_steps=steps, method=rule)


def baselines(x, params):
    """A constant image: one value for all channels or one per channel."""
    value = torch.as_tensor(params.get("baseline", 0.0), dtype=x.dtype).reshape(1, -1, 1, 1)
    return value.expand_as(x[:1]).contiguous()


# --- DeepLIFT ---------------------------------------------------------------------------------


class Separated(TorchNet):
    """Adds 0 before and after every max-pool.

    Where a ReLU is next to a max-pool, captum's two hooks sit on one tensor and the second loses
    what the first did; a tensor of its own for each keeps them apart. The function is the same.
    """

    def __init__(self, model):
        nn.Module.__init__(self)
        model = copy.deepcopy(model)
        self.net = model.net
        for name, module in model.named_children():
            if isinstance(module, nn.MaxPool2d):
                module = nn.Sequential(Shift(), module, Shift())
            self.add_module(name, module)


class Shift(nn.Module):
    def forward(self, x):
        return x + 0


def _by_sample(tool, model, x, target, **kw):
    """Sample by sample: for some layers captum lets the first sample of a batch decide for all."""
    index = targets(model(x), target)
    parts = [tool.attribute(x[n : n + 1], target=index[n : n + 1], **kw) for n in range(len(x))]
    return torch.cat(parts).detach()


def deeplift(model, x, target, params):
    model = Separated(model).eval()
    base = baselines(x, params)
    return _by_sample(captum.attr.DeepLift(model), model, x, target, baselines=base)


deep_lift.SUPPORTED_NON_LINEAR[CappedReLU] = deep_lift.nonlinear


def as_hardtanh(model):
    """With torch's own clipping layers, which captum passes by like linear ones."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_children()):
        if isinstance(module, CappedReLU):
            setattr(model, name, nn.Hardtanh(0.0, module.cap))
    return model


def deeplift_hardtanh(model, x, target, params):
    return deeplift(as_hardtanh(model), x, target, params)


def guided_backprop_hardtanh(model, x, target, params):
    index = targets(model(x), target)
    return captum.attr.GuidedBackprop(as_hardtanh(model)).attribute(x, target=index)


def deeplift_as_is(model, x, target, params):
    """In one batch, on the network as it is."""
    tool, index = captum.attr.DeepLift(copy.deepcopy(model)), targets(model(x), target)
    return tool.attribute(x, baselines(x, params).expand_as(x), target=index).detach()


# --- class activation and occlusion -----------------------------------------------------------


def last_map(model):
    """The ReLU that follows the last convolution, by name."""
    ops = model.net.ops
    last = max(i for i, op in enumerate(ops) if op.kind == "conv")
    return next(op.name for op in ops[last:] if op.kind == "relu")


def grad_cam(model, x, target, params):
    layer = model.layer(params.get("layer", last_map(model)))
    index, relu = targets(model(x), target), params.get("relu", 1.0) == 1.0
    cam = captum.attr.LayerGradCam(model, layer)
    small = cam.attribute(x, target=index, relu_attributions=relu)
    mode = params.get("upsample", "bilinear")
    return captum.attr.LayerAttribution.interpolate(small, x.shape[2:], mode).expand_as(x)


def guided_grad_cam(model, x, target, params):
    layer = model.layer(params.get("layer", last_map(model)))
    tool = captum.attr.GuidedGradCam(model, layer)
    mode = params.get("upsample", "bilinear")
    return tool.attribute(x, target=targets(model(x), target), interpolate_mode=mode)


def occlusion(model, x, target, params):
    """Windows reach over all channels. captum has no default for them."""
    window, stride = int(params["window"]), int(params["stride"])
    return captum.attr.Occlusion(model).attribute(
        x,
        (x.shape[1], window, window),
        (x.shape[1], stride, stride),
        baselines=baselines(x, params),
        target=targets(model(x), target),
    )


# --- LRP --------------------------------------------------------------------------------------


def lrp(model, x, target, rule):
    """On a folded copy: captum changes weights while it works."""
    model = folded(model)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = rule()
        if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
            module.rule = EpsilonRule(epsilon=1e-6)
    return captum.attr.LRP(model).attribute(x, target=targets(model(x), target)).detach()


def plain_sums(model):
    """A copy whose residual sums are a plain +, which captum's LRP takes for the gradient's."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_children()):
        if isinstance(module, StackedAdd):
            delattr(model, name)
            object.__setattr__(model, name, lambda u, v: u + v)
    return model


def lrp_epsilon_plain_sums(model, x, target, params):
    net = plain_sums(folded(model))
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.AdaptiveAvgPool2d)):
            module.rule = EpsilonRule(epsilon=1e-9)
    return captum.attr.LRP(net).attribute(x, target=targets(model(x), target)).detach()


def lrp_by(rule):
    def method(model, x, target, params):
        return lrp(model, x, target, lambda: rule(params))

    return method


lrp_zplus = lrp_by(lambda p: Alpha1_Beta0_Rule(set_bias_to_zero=p.get("bias") == "none"))
lrp_gamma = lrp_by(lambda p: GammaRule(p.get("gamma", 0.25), p.get("bias") == "none"))
lrp_epsilon = lrp_by(lambda p: EpsilonRule(p.get("eps", 1e-9)))


def functional_relus(model):
    """A copy that calls relu as a function, which no tool sees."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.__class__ = types.new_class("Anonymous", (nn.Module,))
            module.forward = nn.functional.relu
    return model


def guided_backprop_functional(model, x, target, params):
    model = functional_relus(model)
    return captum.attr.GuidedBackprop(model).attribute(x, target=targets(model(x), target))
