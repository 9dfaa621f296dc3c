# SPDX-License-Identifier: Apache-2.0
"""Which methods are recorded for which networks, and which faults of tools."""

# (method, targets, condition): "top" is each sample's own largest logit, "low" the class that
# golden.py finds to have a negative logit for every sample. {bounds}: the z^B bounds of the
# network's input. Conditions: below.
MAIN = [
    ("gradient", "top low", ""),
    ("input-x-gradient", "top low", ""),
    ("deconvnet", "top low", ""),
    ("guided-backprop", "top low", ""),
    ("rectgrad", "top", ""),
    ("rectgrad:q=80", "top low", ""),
    ("rectgrad:q=80,tau_floor=0,input_mul=0", "top", ""),
    ("rectgrad:q=15,tau_floor=none", "top", ""),
    ("lrp-0", "top low", ""),
    ("lrp-epsilon", "top low", ""),
    ("lrp-epsilon:eps=0.01", "top", ""),
    ("lrp-zplus", "top low", ""),
    ("lrp-zplus:bias=none", "top", ""),
    ("lrp-alpha-beta", "top low", ""),
    ("lrp-alpha-beta:alpha=1.5,beta=0.5", "top", ""),
    ("dtd", "top low", ""),
    ("dtd:{bounds}", "top", ""),
    ("epsilon-plus", "top", ""),
    ("lrp-zplus:compat=captum", "top", "captum-lrp"),
    ("lrp-gamma", "top low", ""),
    ("lrp-gamma:gamma=1", "top", ""),
    ("lrp-gamma:compat=captum", "top", "captum-lrp"),
    ("lrp-wsquare", "top", "chain"),
    ("lrp-wsquare:compat=zennit", "top", "chain"),
    ("lrp-flat", "top", "chain"),
    ("lrp-zbox:{bounds}", "top low", ""),
    ("excitation-backprop", "top low", ""),
    ("excitation-backprop:compat=zennit", "top", ""),
    ("epsilon-plus-flat", "top", ""),
    ("epsilon-alpha2-beta1", "top", ""),
    ("epsilon-alpha2-beta1-flat", "top", ""),
    ("epsilon-gamma-box:{bounds}", "top", ""),
    ("preset-a", "top", ""),
    ("preset-a-flat", "top", ""),
    ("preset-b", "top", ""),
    ("preset-b-flat", "top", ""),
    ("composite:rules=first=zbox({bounds});conv=gamma(gamma=0.5);dense=epsilon(eps=0.1)", "top", ""),
    ("beta-smooth", "top low", ""),
    ("beta-smooth:beta=2", "top", ""),
    ("deeplift", "top low", "deeplift"),
    ("deeplift:baseline=0.3", "top", "deeplift"),
    ("integrated-gradients:n=16", "top", ""),
    ("integrated-gradients:n=16,rule=left", "top", ""),
    ("integrated-gradients:n=16,rule=right", "top", ""),
    ("integrated-gradients:n=16,rule=middle,baseline=0.3", "top low", ""),
    ("grad-cam", "top low", ""),
    ("grad-cam:relu=0,upsample=nearest", "top", ""),
    ("guided-grad-cam", "top", ""),
    ("guided-grad-cam:upsample=nearest", "top", ""),
    ("occlusion:window=8,stride=8", "top", ""),
    ("occlusion:window=5,stride=3,baseline=0.3", "top low", ""),
]
TABLES = {"golden.txt": MAIN}


def _kinds(net):
    return {op.kind for op in net.ops}


def _overlaps(op):
    return op.attr.get("stride", op.attr["kernel_size"]) < op.attr["kernel_size"]


CONDITIONS = {
    "": lambda net: True,
    # captum's LRP knows no sums, and stabilises averages like everything else.
    "captum-lrp": lambda net: not _kinds(net) & {"add", "concat", "avgpool", "gap"},
    # Relevance that w^2 and flat rules give to zeros is lost where inputs are averaged or summed.
    "chain": lambda net: not _kinds(net) & {"add"},
    # captum's DeepLIFT is wrong where max-pools overlap.
    "deeplift": lambda net: not any(op.kind == "maxpool" and _overlaps(op) for op in net.ops),
}

# (fault, what attrbench calls it, invariant, networks). Invariants: "complete": the map sums to
# f(x) - f(baseline); "equals FILE"; "nonnegative".
FAULTS = [
    ("deeplift as is", "deeplift", "complete", ("plain", "nonneg")),
    ("deeplift overlapping pools", "deeplift", "complete", ("plain", "residual", "nonneg")),
    (
        "integrated-gradients trapezoid",
        "integrated-gradients:n=16,rule=trapezoid",
        "complete",
        ("bias-free",),
    ),
    ("lrp-zplus naive", "lrp-zplus", "nonnegative", ("plain",)),
    (
        "lrp-epsilon plain sums",
        "lrp-epsilon:eps=1e-9,norm_eps=1e-9",
        "equals input-x-gradient.top.npy",
        ("residual", "mobile"),
    ),
    (
        "lrp-epsilon sums copied",
        "lrp-epsilon:eps=1e-9,norm_eps=1e-9",
        "equals input-x-gradient.top.npy",
        ("residual", "mobile"),
    ),
    (
        "lrp-epsilon batch norm passed",
        "lrp-epsilon:eps=1e-9,norm_eps=1e-9",
        "equals input-x-gradient.top.npy",
        ("residual", "mobile"),
    ),
    (
        "guided-backprop functional",
        "guided-backprop",
        "equals guided-backprop.top.npy",
        ("plain", "mobile"),
    ),
    (
        "guided-backprop capped",
        "guided-backprop",
        "equals guided-backprop.top.npy",
        ("capped",),
    ),
    ("deeplift capped", "deeplift", "complete", ("capped",)),
]
# Networks whose ReLU signs, pooling winners and RectGrad thresholds are recorded too.
DECISIONS = ("plain", "mobile", "nonneg", "capped")
