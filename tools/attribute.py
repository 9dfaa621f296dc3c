# SPDX-License-Identifier: Apache-2.0
"""Attribution methods by name, each through the tool that offers it.

run(spec, model, x, target) takes a TorchNet of any dtype and returns a tensor like x.
Gradient-type methods seed the target logit with 1, LRP with its value, DTD with max(value, 0).
"""

import captum.attr
import captum_methods as captum_
import torch
from common import backward, folded, parse, targets
from netspec import CappedReLU
from torch import nn
from zennit_import import Composite, Sum, composites, rules

STABILISER = 1e-6  # zennit's default, for every rule that has one, and for Norm


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
        return backward(model, x, target, "one")


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
        self.output, self.tau = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def _keep(self, module, _, output):
        self.output[module] = output.detach()

    def _gate(self, module, _, grad_output):
        relevance = grad_output[0]
        if isinstance(module, CappedReLU):  # a unit at its cap passes nothing
            relevance = relevance * (self.output[module] < module.cap)
        s = (self.output[module] * relevance).flatten(1)
        rank = (s.shape[1] - 1) * self.q / 100
        if abs(rank - int(rank) - 0.5) < 1e-3:
            raise ValueError(f"rank {rank} of {s.shape[1]}: rounding of a half is not specified")
        tau = s.sort(dim=1).values[:, round(rank)][:, None]
        if self.tau_floor is not None:
            tau = tau.clamp(min=self.tau_floor)
        self.tau[module] = tau[:, 0]
        distance = ((s - tau).abs() / tau.abs())[(s != tau) & (tau != 0)].tolist()
        self.margin = min([self.margin, *distance])
        return (relevance * (s > tau).reshape(relevance.shape),)


def rectgrad(model, x, target, params):
    return rectgrad_with_margin(model, x, target, params)[0]


def rectgrad_with_margin(model, x, target, params):
    floor = params.get("tau_floor", 0.0)
    floor = None if floor == "none" else floor
    with RectGradHooks(model, params.get("q", 98.0), floor) as hooks:
        out = backward(model, x, target, "one")
    return (out * x if params.get("input_mul", 1.0) else out), hooks.margin


class CappedBetaSmooth(rules.ReLUBetaSmooth):
    """The gradient of softplus(z) - softplus(z - cap)."""

    def backward(self, module, grad_input, grad_output):
        z, b = self.stored_tensors["input"][0], self.beta_smooth
        slope = torch.sigmoid(b * z) - torch.sigmoid(b * (z - module.cap))
        return (slope * grad_output[0],)


def beta_smooth(model, x, target, params):
    """On the network as it is: batch norms stay."""
    beta = params.get("beta", 10.0)
    smooth = {CappedReLU: CappedBetaSmooth(beta), nn.ReLU: rules.ReLUBetaSmooth(beta)}
    comp = Composite(module_map=lambda _, name, module: smooth.get(type(module)))
    return zennit_gradient(comp, model, x, target)


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
        return backward(net, x, target, seed_mode).detach()


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


def lrp_wsquare(model, x, target, params):
    zero = None if params.get("compat") == "zennit" else "bias"
    return relevance(composite(rules.WSquare(STABILISER, zero)), model, x, target)


def lrp_flat(model, x, target, params):
    return relevance(composite(rules.Flat(STABILISER)), model, x, target)


def lrp_zbox(model, x, target, params):
    first = rules.ZBox(_bound(params["low"], x), _bound(params["high"], x), STABILISER)
    return relevance(composite(rules.ZPlus(STABILISER), first), model, x, target)


def _rule(text, x):
    """'name(key=value,...)' of a user's composite."""
    name, _, rest = text.rstrip(")").partition("(")
    p = parse(f"{name}:{rest}" if rest else name)[1]
    eps = p.get("eps", STABILISER)
    if name == "zbox":
        return rules.ZBox(_bound(p["low"], x), _bound(p["high"], x), eps)
    if name == "gamma":
        return rules.Gamma(p.get("gamma", 0.25), eps)
    return {"epsilon": rules.Epsilon, "zplus": rules.ZPlus, "flat": rules.Flat}[name](eps)


def user_composite(model, x, target, params):
    """A user's rules by the selectors first, conv and dense."""
    chosen = dict(item.split("=", 1) for item in params["rules"].split(";"))
    chosen = {key: _rule(text, x) for key, text in chosen.items()}
    seen = []

    def rule_for(_, name, module):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            seen.append(name)
            kind = "conv" if isinstance(module, nn.Conv2d) else "dense"
            return chosen["first"] if "first" in chosen and len(seen) == 1 else chosen[kind]
        if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d, Sum)):
            return rules.Norm(stabilizer=STABILISER)
        return rules.Pass() if isinstance(module, nn.ReLU) else None

    return relevance(Composite(module_map=rule_for), model, x, target)


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


def excitation_composite(**kw):
    """zennit's has no rule for activations: their gradient would stop units at a cap."""
    layers = [(CappedReLU, rules.Pass())]
    return composites.ExcitationBackprop(stabilizer=STABILISER, layer_map=layers, **kw)


def excitation_backprop(model, x, target, params):
    comp = excitation_composite(zero_params=["bias"])
    return relevance(comp, model, x, target, "one")


def excitation_backprop_biased(model, x, target, params):
    comp = excitation_composite()
    return relevance(comp, model, x, target, "one")


def lrp_epsilon_unfolded(model, x, target, params):
    """Batch norm left in place and passed by, as zennit's composites do without a canonizer."""
    layers = [(nn.BatchNorm2d, rules.Pass()), (nn.ReLU, rules.Pass()), (Sum, rules.Norm(1e-9))]
    layers += [((nn.Conv2d, nn.Linear, nn.AdaptiveAvgPool2d), rules.Epsilon(1e-9))]
    with composites.LayerMapComposite(layers).context(model):
        return backward(model, x, target, "logit").detach()


def lrp_epsilon_copied_sums(model, x, target, params):
    """Residual sums without a rule of their own, as zennit sees a plain +."""
    net = folded(model)
    layers = [(nn.ReLU, rules.Pass())]
    layers += [((nn.Conv2d, nn.Linear, nn.AdaptiveAvgPool2d), rules.Epsilon(1e-9))]
    with composites.LayerMapComposite(layers).context(net):
        return backward(net, x, target, "logit").detach()


def _builtin(name, **extra):
    def method(model, x, target, params):
        kw = {key: _bound(params[key], x) for key in ("low", "high") if key in params}
        comp = getattr(composites, name)(stabilizer=STABILISER, **extra, **kw)
        return relevance(comp, model, x, target)

    return method


CAPTUM, ZENNIT, AUTHOR = "captum", "zennit", "author-definition"
# A method by its name, or by its name and the tool whose variant compat= asks for.
METHODS = {
    "gradient": (gradient, CAPTUM),
    "input-x-gradient": (input_x_gradient, CAPTUM),
    "deconvnet": (deconvnet, CAPTUM),
    "guided-backprop": (guided_backprop, CAPTUM),
    "beta-smooth": (beta_smooth, ZENNIT),
    "rectgrad": (rectgrad, AUTHOR),
    "integrated-gradients": (captum_.integrated_gradients, CAPTUM),
    "deeplift": (captum_.deeplift, CAPTUM),
    "grad-cam": (captum_.grad_cam, CAPTUM),
    "guided-grad-cam": (captum_.guided_grad_cam, CAPTUM),
    "occlusion": (captum_.occlusion, CAPTUM),
    "lrp-0": (lrp_0, ZENNIT),
    "lrp-epsilon": (lrp_epsilon, ZENNIT),
    "lrp-zplus": (lrp_zplus, ZENNIT),
    "lrp-zplus captum": (captum_.lrp_zplus, CAPTUM),
    "lrp-alpha-beta": (lrp_alpha_beta, ZENNIT),
    "lrp-gamma": (lrp_gamma, ZENNIT),
    "lrp-gamma captum": (captum_.lrp_gamma, CAPTUM),
    "lrp-wsquare": (lrp_wsquare, ZENNIT),
    "lrp-wsquare zennit": (lrp_wsquare, ZENNIT),
    "lrp-flat": (lrp_flat, ZENNIT),
    "lrp-zbox": (lrp_zbox, ZENNIT),
    "dtd": (dtd, ZENNIT),
    "excitation-backprop": (excitation_backprop, ZENNIT),
    "excitation-backprop zennit": (excitation_backprop_biased, ZENNIT),
    "epsilon-plus": (_builtin("EpsilonPlus"), ZENNIT),
    "epsilon-plus-flat": (_builtin("EpsilonPlusFlat"), ZENNIT),
    "epsilon-alpha2-beta1": (_builtin("EpsilonAlpha2Beta1"), ZENNIT),
    "epsilon-alpha2-beta1-flat": (_builtin("EpsilonAlpha2Beta1Flat"), ZENNIT),
    "preset-a": (_builtin("EpsilonPlus", epsilon=0.1), ZENNIT),
    "preset-a-flat": (_builtin("EpsilonPlusFlat", epsilon=0.1), ZENNIT),
    "preset-b": (_builtin("EpsilonAlpha2Beta1", epsilon=0.1), ZENNIT),
    "preset-b-flat": (_builtin("EpsilonAlpha2Beta1Flat", epsilon=0.1), ZENNIT),
    "composite": (user_composite, ZENNIT),
    "epsilon-gamma-box": (_builtin("EpsilonGammaBox"), ZENNIT),
}
# What tools get wrong (docs/methods.md): the invariant that their map breaks and ours must keep.
FAULTS = {
    "deeplift as is": (captum_.deeplift_as_is, CAPTUM),
    "deeplift overlapping pools": (captum_.deeplift, CAPTUM),
    "integrated-gradients trapezoid": (captum_.integrated_gradients, CAPTUM),
    "lrp-epsilon plain sums": (captum_.lrp_epsilon_plain_sums, CAPTUM),
    "lrp-zplus naive": (captum_.lrp_zplus, CAPTUM),
    "lrp-epsilon batch norm passed": (lrp_epsilon_unfolded, ZENNIT),
    "lrp-epsilon sums copied": (lrp_epsilon_copied_sums, ZENNIT),
    "guided-backprop functional": (captum_.guided_backprop_functional, CAPTUM),
    "guided-backprop capped": (captum_.guided_backprop_hardtanh, CAPTUM),
    "deeplift capped": (captum_.deeplift_hardtanh, CAPTUM),
}


def _find(spec):
    name, params = parse(spec)
    return METHODS[f"{name} {params['compat']}" if "compat" in params else name]


def run(spec, model, x, target):
    return _find(spec)[0](model, x, target, parse(spec)[1]).detach()


def tool(spec):
    return _find(spec)[1]
