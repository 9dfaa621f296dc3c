# SPDX-License-Identifier: Apache-2.0
"""attrbench through its C library, on the weights of a torch model: these go over as ONNX."""

import ctypes
import tempfile
from ctypes import POINTER, byref, c_bool, c_char, c_char_p, c_float, c_int, c_void_p
from pathlib import Path

import torch
from models import PlainAdd
from netspec import Net, write_onnx
from torch import fx, nn

# --- weights --------------------------------------------------------------------------------------

ATTRIBUTES = {
    nn.Conv2d: ("conv", ("kernel_size", "stride", "padding", "dilation", "groups")),
    nn.MaxPool2d: ("maxpool", ("kernel_size", "stride", "padding", "ceil_mode")),
    nn.ReLU: ("relu", ()),
    nn.Linear: ("linear", ("out_features",)),
    PlainAdd: ("add", ()),
}


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, PlainAdd) or super().is_leaf_module(module, name)


class Traced:
    """What netspec.write_onnx asks of a model, read off one of models.py."""

    def __init__(self, model, shape):
        self.model, self.net, self.named = model, Net(shape), {}
        for node in _Tracer().trace(model).nodes:
            self._take(node)

    def layer(self, name):
        return self.model.get_submodule(name)

    def _take(self, node):
        if node.op in ("placeholder", "output"):
            self.named[node] = "input"
            return
        src = tuple(self.named[a] for a in node.args if isinstance(a, fx.Node))
        if node.op == "call_method" and node.target == "flatten":
            self.named[node] = self.net.add_op("flatten", "flatten", src)
            return
        if node.op != "call_module":
            raise ValueError(f"{node.op} {node.target}: not in the networks of models.py")
        module = self.layer(node.target)
        if isinstance(module, nn.Dropout) or getattr(module, "output_size", None) == 7:
            self.named[node] = src[0]  # at inference, and at 224x224, the identity
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            self.named[node] = self.net.add_op(node.target, "gap", src)
        else:
            kind, keys = ATTRIBUTES[type(module)]
            attributes = {key: getattr(module, key) for key in keys}
            self.named[node] = self.net.add_op(node.target, kind, src, **attributes)


# --- the library ----------------------------------------------------------------------------------

STATUS_OK = 0


class _Error(ctypes.Structure):
    _fields_ = [("text", c_char * 512)]


class _Options(ctypes.Structure):
    _fields_ = [("backend", c_char_p), ("batch", c_int), ("threads", c_int), ("retain", c_bool)]
    _fields_ += [("algo", c_int), ("memory", c_int), ("targets", c_int), ("at", c_char_p)]


class _Backend(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("summary", c_char_p), ("version", c_char_p)]


class Library:
    """The functions of attrbench.h that are needed here; errors become exceptions."""

    def __init__(self, path):
        lib = self.lib = ctypes.CDLL(str(Path(path).resolve()))
        out, error = POINTER(c_void_p), POINTER(_Error)
        lib.ab_version.restype = c_char_p
        lib.ab_backends.argtypes, lib.ab_backends.restype = [POINTER(c_int)], POINTER(_Backend)
        lib.ab_graph_load.argtypes = [c_char_p, out, error]
        lib.ab_method_parse.argtypes = [c_char_p, out, error]
        lib.ab_plan_create.argtypes = [c_void_p, out, c_int, POINTER(_Options), out, error]
        lib.ab_plan_execute.argtypes = [c_void_p, POINTER(c_float), POINTER(c_int)] + [
            POINTER(POINTER(c_float)),
            POINTER(c_float),
            error,
        ]
        for name in ("ab_plan_destroy", "ab_graph_destroy", "ab_method_destroy"):
            getattr(lib, name).argtypes = [out]
            getattr(lib, name).restype = None

    def check(self, status, error):
        if status != STATUS_OK:
            raise RuntimeError(error.text.decode())

    def versions(self):
        """{name: version} of attrbench and of the libraries that its backends use."""
        count = c_int()
        found = self.lib.ab_backends(byref(count))
        foreign = {b.name.decode(): b.version for b in found[: count.value] if b.version}
        own = {"attrbench": self.lib.ab_version().decode()}
        return own | {name: version.decode() for name, version in foreign.items()}

    def graph(self, model, shape):
        """The network and weights of a torch model. Never given back: used until the end."""
        handle, error = c_void_p(), _Error()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.onnx")
            write_onnx(Traced(model, shape), path, "model")
            self.check(self.lib.ab_graph_load(path.encode(), byref(handle), byref(error)), error)
        return handle


class Plan:
    """Methods on one backend; called, it returns the first one's map. maps has all."""

    def __init__(self, library, graph, methods, backend, threads, x, target):
        self.library, self.handle, self.error = library, c_void_p(), _Error()
        lib, error, count = library.lib, self.error, len(methods)
        self.x, self.maps = x.contiguous(), [torch.empty_like(x) for _ in methods]
        self.targets = (c_int * len(x))(*[target] * len(x))
        options = _Options(backend.encode(), len(x), threads, False)
        parsed = (c_void_p * count)()
        try:
            for i, method in enumerate(methods):
                at = ctypes.cast(byref(parsed, i * ctypes.sizeof(c_void_p)), POINTER(c_void_p))
                library.check(lib.ab_method_parse(method.encode(), at, byref(error)), error)
            status = lib.ab_plan_create(
                graph, parsed, count, byref(options), byref(self.handle), byref(error)
            )
            library.check(status, error)
        finally:
            for handle in parsed:
                lib.ab_method_destroy(byref(c_void_p(handle)))
        floats = POINTER(c_float)
        self.input = ctypes.cast(self.x.data_ptr(), floats)
        pointers = [ctypes.cast(map_.data_ptr(), floats) for map_ in self.maps]
        self.pointers = (floats * count)(*pointers)

    def __call__(self):
        status = self.library.lib.ab_plan_execute(
            self.handle, self.input, self.targets, self.pointers, None, byref(self.error)
        )
        self.library.check(status, self.error)
        return self.maps[0]

    def close(self):
        self.library.lib.ab_plan_destroy(byref(self.handle))
