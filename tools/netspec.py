# SPDX-License-Identifier: Apache-2.0
"""One network description, two renderings: a torch module (for the tools) and an ONNX file.

A network is a list of Op in execution order. Every tensor is named after the op that makes it; the
input tensor is called "input" and the last op's tensor is the vector of logits.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from zennit_import import Sum

OPSET, IR_VERSION = 13, 7  # what onnx 1.12 (Debian 12) reads


@dataclass
class Op:
    """kind: conv relu cap maxpool avgpool gap bn add concat flatten linear; attr: torch's keywords.

    cap is a ReLU with an upper bound, attr["cap"]; ReLU6 is one with 6.
    """

    name: str
    kind: str
    src: tuple = ()
    attr: dict = field(default_factory=dict)


class Net:
    """Collects ops; each method appends one and returns its name. src=None means the last op."""

    def __init__(self, input_shape):
        self.input_shape, self.ops = tuple(input_shape), []

    def add_op(self, name, kind, src=None, **attr):
        if src is None:
            src = (self.ops[-1].name if self.ops else "input",)
        self.ops.append(Op(name, kind, (src,) if isinstance(src, str) else tuple(src), attr))
        return name


class StackedAdd(nn.Module):
    """u + v, stacked and summed in a child module: a zennit rule expects one input tensor."""

    def __init__(self):
        super().__init__()
        self.sum = Sum(dim=-1)

    def forward(self, u, v):
        return self.sum(torch.stack([u, v], dim=-1))


class PaddedConv(nn.Conv2d):
    """Convolution with pads (top, left, bottom, right) that may differ per side.

    The padding belongs to the layer: rules that replace the input by ones must not count it.
    """

    def __init__(self, pads, **kw):
        super().__init__(**kw)
        top, left, bottom, right = pads
        self.pads = (left, right, top, bottom)

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.pads))


class CappedReLU(nn.ReLU):
    """min(max(x, 0), cap), whose gradient is 0 at both bounds.

    Tools choose their rules by class, and know ReLU: what they do to its backward pass they do to
    this one's too, whose own gradient is that of hardtanh.
    """

    def __init__(self, cap):
        super().__init__()
        self.cap = cap

    def forward(self, x):
        return nn.functional.hardtanh(x, 0.0, self.cap)


def _conv(attr):
    kw = dict(attr)
    pads = kw.pop("pads", None)
    return PaddedConv(pads, **kw) if pads else nn.Conv2d(**kw)


_MODULES = {
    "conv": _conv,
    "relu": lambda a: nn.ReLU(),
    "cap": lambda a: CappedReLU(**a),
    "maxpool": lambda a: nn.MaxPool2d(**a),
    "avgpool": lambda a: nn.AvgPool2d(**a),
    "gap": lambda a: nn.AdaptiveAvgPool2d(1),
    "bn": lambda a: nn.BatchNorm2d(**a),
    "add": lambda a: StackedAdd(),
    "linear": lambda a: nn.Linear(**a),
}


class TorchNet(nn.Module):
    """Runs the ops of a Net. Flatten and concat are functional: no tool gives them a rule."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        for op in net.ops:
            if op.kind in _MODULES:
                self.add_module(op.name.replace(".", "_"), _MODULES[op.kind](op.attr))

    def layer(self, name):
        """The module of an op."""
        return getattr(self, name.replace(".", "_"))

    def forward(self, x):
        value = {"input": x}
        for op in self.net.ops:
            args = [value[s] for s in op.src]
            if op.kind == "flatten":
                value[op.name] = args[0].flatten(1)
            elif op.kind == "concat":
                value[op.name] = torch.cat(args, dim=1)
            else:
                value[op.name] = getattr(self, op.name.replace(".", "_"))(*args)
        return value[self.net.ops[-1].name]


def _pair(v):
    return list(v) if isinstance(v, (tuple, list)) else [v, v]


def _window(attr):
    pad = _pair(attr.get("padding", 0))
    kernel = _pair(attr["kernel_size"])
    return dict(kernel_shape=kernel, strides=_pair(attr.get("stride") or kernel), pads=pad + pad)


def _conv_attr(attr):
    out = _window({"stride": 1, **attr})
    if "pads" in attr:
        out["pads"] = list(attr["pads"])
    return dict(out, dilations=_pair(attr.get("dilation", 1)), group=attr.get("groups", 1))


def _maxpool_attr(attr):
    return dict(_window(attr), ceil_mode=int(attr.get("ceil_mode", False)))


def _avgpool_attr(attr):
    return dict(_window(attr), count_include_pad=int(attr.get("count_include_pad", True)))


_ONNX = {
    "conv": ("Conv", _conv_attr),
    "relu": ("Relu", lambda a: {}),
    "cap": ("Clip", lambda a: {}),
    "maxpool": ("MaxPool", _maxpool_attr),
    "avgpool": ("AveragePool", _avgpool_attr),
    "gap": ("GlobalAveragePool", lambda a: {}),
    "bn": ("BatchNormalization", lambda a: {"epsilon": a.get("eps", 1e-5)}),
    "add": ("Add", lambda a: {}),
    "concat": ("Concat", lambda a: {"axis": 1}),
    "flatten": ("Flatten", lambda a: {"axis": 1}),
    "linear": ("Gemm", lambda a: {"transB": 1}),
}
_PARAMS = {
    "conv": ("weight", "bias"),
    "linear": ("weight", "bias"),
    "bn": ("weight", "bias", "running_mean", "running_var"),
}


def _bounds(op):
    values = {"min": 0.0, "max": op.attr["cap"]}
    return [numpy_helper.from_array(np.float32(v), f"{op.name}.{k}") for k, v in values.items()]


def _initializers(op, model):
    if op.kind == "cap":
        return _bounds(op)
    layer = model.layer(op.name) if op.kind in _PARAMS else None
    tensors = [(p, getattr(layer, p)) for p in _PARAMS.get(op.kind, ())]
    return [
        numpy_helper.from_array(t.detach().numpy().astype(np.float32), f"{op.name}.{p}")
        for p, t in tensors
        if t is not None
    ]


def write_onnx(model, path, graph_name):
    """Write a TorchNet with float32 weights; the batch axis is symbolic."""
    nodes, weights = [], []
    last = model.net.ops[-1].name
    for op in model.net.ops:
        init = _initializers(op, model)
        weights += init
        kind, attr = _ONNX[op.kind]
        out = "logits" if op.name == last else op.name
        inputs = list(op.src) + [w.name for w in init]
        nodes.append(helper.make_node(kind, inputs, [out], name=op.name, **attr(op.attr)))
    classes = model.net.ops[-1].attr["out_features"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        graph_name,
        [value("input", TensorProto.FLOAT, ["N", *model.net.input_shape])],
        [value("logits", TensorProto.FLOAT, ["N", classes])],
        weights,
    )
    proto = helper.make_model(
        graph, producer_name="attrbench", opset_imports=[helper.make_opsetid("", OPSET)]
    )
    proto.ir_version = IR_VERSION
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
