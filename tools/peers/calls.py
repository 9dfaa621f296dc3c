# SPDX-License-Identifier: Apache-2.0
"""Other people's attribution as calls to time: (model, x -> map) for each method and tool.

Peers get their best case: weights that need no gradients, batch norm folded beforehand for every
method, in-place ReLU where the method allows it, zennit's rules attached once and not per call,
the target known to all.
"""

import captum.attr
import torch
from attribute import STABILISER, composite
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from netspec import StackedAdd
from torch import nn
from zennit_import import composites, rules

ZERO = ["bias"]
CAPTUM_ZPLUS = "lrp-zplus:bias=signed,eps=1e-9,signed_input=naive"
BOUNDED = "dtd:low=-2,high=2.5"
GAMMA_BOX = "epsilon-gamma-box:low=-2,high=2.5"
ZENNIT = {
    "deconvnet": composites.DeconvNet,
    "guided-backprop": composites.GuidedBackprop,
    "lrp-epsilon": lambda: composite(rules.Epsilon(1e-6)),
    "lrp-zplus": lambda: composite(rules.ZPlus(STABILISER)),
    "lrp-alpha-beta": lambda: composite(rules.AlphaBeta(2.0, 1.0, STABILISER)),
    "dtd": lambda: composite(rules.ZPlus(STABILISER, ZERO), rules.WSquare(STABILISER, ZERO)),
    BOUNDED: lambda: composite(
        rules.ZPlus(STABILISER, ZERO), rules.ZBox(-2.0, 2.5, STABILISER, ZERO)
    ),
    "epsilon-plus": lambda: composites.EpsilonPlus(epsilon=1e-6, stabilizer=STABILISER),
    GAMMA_BOX: lambda: composites.EpsilonGammaBox(
        low=-2.0, high=2.5, epsilon=1e-6, gamma=0.25, stabilizer=STABILISER
    ),
}
CAPTUM = {
    "gradient": captum.attr.Saliency,
    "input-x-gradient": captum.attr.InputXGradient,
    "deconvnet": captum.attr.Deconvolution,
    "guided-backprop": captum.attr.GuidedBackprop,
}
CAPTUM_LRP = {"lrp-epsilon": lambda: EpsilonRule(1e-6), CAPTUM_ZPLUS: Alpha1_Beta0_Rule}
METHODS = [
    "gradient",
    "input-x-gradient",
    "deconvnet",
    "guided-backprop",
    "rectgrad",
    "lrp-epsilon",
    "lrp-zplus",
    CAPTUM_ZPLUS,
    "lrp-alpha-beta",
    "dtd",
    BOUNDED,
    "epsilon-plus",
    GAMMA_BOX,
]
# Ten methods that attrbench also computes in one plan.
TOGETHER = [
    "gradient",
    "input-x-gradient",
    "deconvnet",
    "guided-backprop",
    "rectgrad",
    "lrp-epsilon",
    "lrp-zplus",
    "lrp-alpha-beta",
    GAMMA_BOX,
    "dtd",
]

# The least cosine at which two maps are the same method's. A unit of RectGrad that lies at the
# threshold falls on either side by rounding, and takes all below it along.
SAME = {"rectgrad": 0.99}
SAME_BY_DEFAULT = 0.999

# What a reader must know of a pair.
NOTES = {
    (
        "rectgrad",
        "torch",
    ): "no tool offers RectGrad: our PyTorch program of the published algorithm,"
    " a backward function for each ReLU, thresholds by torch.kthvalue (torch.quantile sorts, and"
    " takes six times as long)",
    ("rectgrad", "torch-topk"): "the same by torch.topk",
    (CAPTUM_ZPLUS, "captum"): "captum's Alpha1_Beta0_Rule keeps the signed bias, treats negative"
    " inputs like positive ones and stabilises by 1e-9; attrbench computes the same variant here",
}


def backward(model, x, target, by_value):
    """From the target's logit back to the input; the seed is its value or 1."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    logits = model(x)
    seed = torch.zeros_like(logits)
    seed[:, target] = logits.detach()[:, target] if by_value else 1.0
    return torch.autograd.grad(logits, x, seed)[0]


# --- RectGrad -------------------------------------------------------------------------------------


def _flat(t):
    """[n][values] in the order of memory: which order does not matter to an order statistic."""
    if t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last):
        t = t.permute(0, 2, 3, 1)
    return t.flatten(1)


def by_kthvalue(values, rank):
    return values.kthvalue(rank + 1, dim=1).values


def by_topk(values, rank):
    return values.topk(values.shape[1] - rank, dim=1, sorted=False).values.amin(1)


class Rect(torch.autograd.Function):
    """ReLU whose backward keeps R where a'R > tau, tau its percentile 98, at least 0.

    Kim et al. 2019, arXiv 1902.04893; tau is the element of rank round((N - 1) q / 100).
    """

    @staticmethod
    def forward(ctx, x, select):
        y = x.clamp(min=0)
        ctx.save_for_backward(y)
        ctx.select = select
        return y

    @staticmethod
    def backward(ctx, signal):
        product = ctx.saved_tensors[0] * signal
        flat = _flat(product)
        rank = round((flat.shape[1] - 1) * 98.0 / 100)
        tau = ctx.select(flat, rank).clamp(min=0)
        tau = tau.reshape(-1, *[1] * (signal.dim() - 1))
        return signal * (product > tau), None


class RectReLU(nn.Module):
    def __init__(self, select):
        super().__init__()
        self.select = select

    def forward(self, x):
        return Rect.apply(x, self.select)


def rectgrad(factory, target, select):
    model = factory.make()
    for owner in list(model.modules()):
        for name, child in owner.named_children():
            if isinstance(child, nn.ReLU):
                setattr(owner, name, RectReLU(select))
    return model, lambda x: x * backward(model, x, target, False)


# --- tools ----------------------------------------------------------------------------------------


def torch_call(method, factory, target):
    if method == "rectgrad":
        return rectgrad(factory, target, by_kthvalue)
    if method not in ("gradient", "input-x-gradient"):
        return None
    model = factory.make(inplace=True)
    if method == "gradient":
        return model, lambda x: backward(model, x, target, False)
    return model, lambda x: x * backward(model, x, target, False)


def topk_call(method, factory, target):
    return rectgrad(factory, target, by_topk) if method == "rectgrad" else None


def captum_call(method, factory, target):
    if method in CAPTUM:
        model = factory.make()
        options = {"abs": False} if method == "gradient" else {}
        attribute = CAPTUM[method](model).attribute
        return model, lambda x: attribute(x, target=target, **options)
    if method in CAPTUM_LRP:
        model = factory.make(add=Addition_Module)
        return model, lambda x: captum_lrp(model, x, target, CAPTUM_LRP[method])
    return None


def captum_lrp(model, x, target, rule):
    """captum takes its rules off again after every call."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = rule()
    return captum.attr.LRP(model).attribute(x, target=target)


def zennit_call(method, factory, target):
    if method not in ZENNIT:
        return None
    relevance = method not in ("deconvnet", "guided-backprop")
    model = factory.make(add=StackedAdd) if relevance else factory.make()
    comp = ZENNIT[method]()
    comp.register(model)
    model.composite = [comp]  # keeps the rules alive
    return model, lambda x: backward(model, x, target, relevance)


PEERS = {
    "torch": torch_call,
    "torch-topk": topk_call,
    "captum": captum_call,
    "zennit": zennit_call,
}
LAYOUTS = {"": torch.contiguous_format, "-nhwc": torch.channels_last}


def calls(method, factory, target, x):
    """(tool, call) of each tool that has the method, in both memory layouts."""
    for tool, make in PEERS.items():
        for suffix, layout in LAYOUTS.items():
            made = make(method, factory, target)
            if made is None:
                break
            model, call = made
            model.to(memory_format=layout)
            yield tool + suffix, lambda call=call, x=x.to(memory_format=layout): call(x)
