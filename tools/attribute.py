# SPDX-License-Identifier: Apache-2.0
"""Attribution methods by name, each through the tool that offers it.

run(spec, model, x, target) takes a TorchNet of any dtype and returns a tensor like x.
Gradient-type methods seed the target logit with 1, LRP with its value, DTD with max(value, 0).
"""

import copy

import captum.attr
import torch
from netspec import Net, TorchNet
from torch import nn
from zennit_import import Composite, Sum, composites, rules

STABILISER = 1e-6  # zennit's default, for every rule that has one, and for Norm


def parse(spec):
    """'name:key=value,...' to (name, {key: value}): floats, lists of floats (a/b/c) or text."""
    name, _, rest = spec.partition(":")
    params = dict(item.split("=") for item in rest.split(",")) if rest else {}
    return name, {key: _value(text) for key, text in params.items()}


def _value(text):
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        return text
    return parts if len(parts) > 1 else parts[0]


def targets(logits, target):
    """One class index per sample; target is an index or 'top'."""
    return logits.argmax(1) if target == "top" else torch.full((len(logits),), int(target))


def _backward(model, x, target, seed_mode):
    """From the seeded target logit back to x, through whatever hooks are attached."""
    x = x.clone().requires_grad_()
    logits = model(x)
    index = targets(logits, target)[:, None]
    picked = logits.detach().gather(1, index)
    value = {"one": torch.ones_like(picked), "logit": picked, "logit+": picked.clamp(min=0)}
    seed = torch.zeros_like(logits).scatter(1, index, value[seed_mode])
    return torch.autograd.grad(logits, x, seed)[0]


# --- batch norm -------------------------------------------------------------------------------


def folded(model):
    """A copy with every batch norm folded into its convolution, its epsilon included."""
    ops, rename = [], {}
    net = Net(model.net.input_shape)
    for op in model.net.ops:
        if op.kind == "bn":
            rename[op.name] = op.src[0]
            continue
        op = copy.deepcopy(op)
        op.src = tuple(rename.get(s, s) for s in op.src)
        ops.append(op)
    for op in ops:
        op.attr.update({"bias": True} if op.name in rename.values() else {})
    net.ops = ops
    out = TorchNet(net).to(next(model.parameters()).dtype).eval()
    out.load_state_dict(model.state_dict(), strict=False)
    for bn_name, conv_name in rename.items():
        _fold_one(model.layer(bn_name), model.layer(conv_name), out.layer(conv_name))
    return out


def _fold_one(bn, conv, out):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    out.weight.data = conv.weight.data * scale[:, None, None, None]
    out.bias.data = (bias - bn.running_mean) * scale + bn.bias


# --- gradient family --------------------------------------------------------------------------


def gradient(model, x, target, params):
    index = targets(model(x), target)
    return captum.attr.Saliency(model).attribute(x, target=index, abs=False)


def input_x_gradient(model, x, target, params):
    index = targets(model(x), target)
    return captum.attr.InputXGradient(model).attribute(x, target=index)


def deconvnet(model, x, target, params):
    index = targets(model(x), target)
    return captum.attr.Deconvolution(model).attribute(x, target=index)


def guided_backprop(model, x, target, params):
    index = targets(model(x), target)
    return captum.attr.GuidedBackprop(model).attribute(x, target=index)


def zennit_gradient(composite, model, x, target):
    """The same family by zennit, to compare with."""
    with composite.context(model):
        return _backward(model, x, target, "one")


class RectGradHooks:
    """RectGrad of Kim et al. (arXiv 1902.04893): R_in = R * [a' R > tau], tau per layer and sample.

    tau is the element of rank round((N - 1) q / 100), counted from the smallest of the N values of
    a' R. `margin` is the smallest relative distance of any other value to its tau.
    """

    def __init__(self, model, q, tau_floor):
        self.q, self.tau_floor, self.margin = q, tau_floor, float("inf")
        relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
        self.handles = [m.register_forward_hook(self._keep) for m in relus]
        self.handles += [m.register_full_backward_hook(self._gate) for m in relus]
        self.output = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def _keep(self, module, _, output):
        self.output[module] = output.detach()

    def _gate(self, module, _, grad_output):
        relevance = grad_output[0]
        s = (self.output[module] * relevance).flatten(1)
        rank = (s.shape[1] - 1) * self.q / 100
        if abs(rank - int(rank) - 0.5) < 1e-3:
            raise ValueError(f"rank {rank} of {s.shape[1]}: rounding of a half is not specified")
        tau = s.sort(dim=1).values[:, round(rank)][:, None]
        if self.tau_floor is not None:
            tau = tau.clamp(min=self.tau_floor)
        distance = ((s - tau).abs() / tau.abs())[(s != tau) & (tau != 0)].tolist()
        self.margin = min([self.margin, *distance])
        return (relevance * (s > tau).reshape(relevance.shape),)


def rectgrad(model, x, target, params):
    return rectgrad_with_margin(model, x, target, params)[0]


def rectgrad_with_margin(model, x, target, params):
    floor = params.get("tau_floor", 0.0)
    floor = None if floor == "none" else floor
    with RectGradHooks(model, params.get("q", 98.0), floor) as hooks:
        out = _backward(model, x, target, "one")
    return (out * x if params.get("input_mul", 1.0) else out), hooks.margin


def integrated_gradients(model, x, target, params):
    names = {"gauss-legendre": "gausslegendre"}
    names.update({side: f"riemann_{side}" for side in ("left", "right", "middle")})
    method, steps = names[params.get("rule", "gauss-legendre")], int(params.get("steps", 50))
    index = targets(model(x), target)
    tool = captum.attr.IntegratedGradients(model)
    return tool.attribute(x, target=index, n_steps=steps, method=method)


# --- relevance propagation --------------------------------------------------------------------


def guarded(z):
    """The stabiliser of LRP-0: z itself, and 1 where z is 0, so that 0/0 gives 0."""
    return z + (z == 0).to(z)


def composite(rule, first=None, norm=STABILISER):
    """rule on convolutions and linear layers (first on the first), Norm on averages and sums."""
    seen = []

    def rule_for(_, name, module):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            seen.append(name)
            return first if first is not None and len(seen) == 1 else rule
        if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d, Sum)):
            return rules.Norm(stabilizer=norm)
        return rules.Pass() if isinstance(module, nn.ReLU) else None

    return Composite(module_map=rule_for)


def relevance(comp, model, x, target, seed_mode="logit"):
    net = folded(model)
    with comp.context(net):
        return _backward(net, x, target, seed_mode).detach()


def lrp_0(model, x, target, params):
    return relevance(composite(rules.Epsilon(guarded), norm=guarded), model, x, target)


def lrp_epsilon(model, x, target, params):
    return relevance(composite(rules.Epsilon(params.get("eps", 1e-6))), model, x, target)


def lrp_zplus(model, x, target, params):
    zero = "bias" if params.get("bias") == "none" else None
    return relevance(composite(rules.ZPlus(STABILISER, zero)), model, x, target)


def lrp_alpha_beta(model, x, target, params):
    rule = rules.AlphaBeta(params.get("alpha", 2.0), params.get("beta", 1.0), STABILISER)
    return relevance(composite(rule), model, x, target)


def lrp_gamma(model, x, target, params):
    rule = rules.Gamma(params.get("gamma", 0.25), STABILISER)
    return relevance(composite(rule), model, x, target)


def _bound(value, x):
    return torch.as_tensor(value, dtype=x.dtype).reshape(1, -1, 1, 1)


def dtd(model, x, target, params):
    zero = ["bias"]
    first = rules.WSquare(STABILISER, zero)
    if "low" in params:
        low, high = _bound(params["low"], x), _bound(params["high"], x)
        first = rules.ZBox(low, high, STABILISER, zero)
    comp = composite(rules.ZPlus(STABILISER, zero), first)
    return relevance(comp, model, x, target, "logit+")


def excitation_backprop(model, x, target, params):
    comp = composites.ExcitationBackprop(stabilizer=STABILISER, zero_params=["bias"])
    return relevance(comp, model, x, target, "one")


def _builtin(name, **extra):
    def method(model, x, target, params):
        kw = {key: _bound(params[key], x) for key in ("low", "high") if key in params}
        comp = getattr(composites, name)(stabilizer=STABILISER, **extra, **kw)
        return relevance(comp, model, x, target)

    return method


CAPTUM, ZENNIT, AUTHOR = "captum", "zennit", "author-definition"
METHODS = {
    "gradient": (gradient, CAPTUM),
    "input-x-gradient": (input_x_gradient, CAPTUM),
    "deconvnet": (deconvnet, CAPTUM),
    "guided-backprop": (guided_backprop, CAPTUM),
    "rectgrad": (rectgrad, AUTHOR),
    "integrated-gradients": (integrated_gradients, CAPTUM),
    "lrp-0": (lrp_0, ZENNIT),
    "lrp-epsilon": (lrp_epsilon, ZENNIT),
    "lrp-zplus": (lrp_zplus, ZENNIT),
    "lrp-alpha-beta": (lrp_alpha_beta, ZENNIT),
    "lrp-gamma": (lrp_gamma, ZENNIT),
    "dtd": (dtd, ZENNIT),
    "excitation-backprop": (excitation_backprop, ZENNIT),
    "epsilon-plus": (_builtin("EpsilonPlus"), ZENNIT),
    "epsilon-plus-flat": (_builtin("EpsilonPlusFlat"), ZENNIT),
    "epsilon-alpha2-beta1": (_builtin("EpsilonAlpha2Beta1"), ZENNIT),
    "epsilon-alpha2-beta1-flat": (_builtin("EpsilonAlpha2Beta1Flat"), ZENNIT),
    "epsilon-gamma-box": (_builtin("EpsilonGammaBox"), ZENNIT),
}


def run(spec, model, x, target):
    name, params = parse(spec)
    return METHODS[name][0](model, x, target, params).detach()


def tool(spec):
    return METHODS[parse(spec)[0]][1]
