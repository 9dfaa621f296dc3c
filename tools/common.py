# SPDX-License-Identifier: Apache-2.0
"""What the methods of every tool share: specs, targets, the walk back, folded batch norms."""

import copy
import re

import torch
from netspec import Net, TorchNet


def parse(spec):
    """'name:key=value,...' to (name, {key: value}): floats, lists of floats (a/b/c) or text."""
    name, _, rest = spec.partition(":")
    items = re.split(r",(?![^(]*\))", rest) if rest else []
    params = dict(item.split("=", 1) for item in items)
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


def backward(model, x, target, seed_mode):
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
