"""An fp32 ONNX model to int8: weights per output channel, activations per token.

onnxruntime's own dynamic quantisation takes one scale for all activations of a batch. A text's vector then depends on
its neighbours in the batch (cosine down to 0.95 with itself), which a service that batches across callers cannot have,
and a large value anywhere costs all tokens their precision. Here each token has its own scale and offset: the same
kernels, vectors that no neighbour changes, and a third of the error.

With x ≈ scale · q + least for each token and w ≈ channel · v for each output channel,
x · w ≈ scale · (channel · q · v) + least · Σ w, where q · v is the integer product. What GELU gives is never below
GELU_LEAST, so that there the last term is known beforehand.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

MICROSOFT = "com.microsoft"
LARGE_TABLE = 1000  # rows from which an embedding table is stored as int8
GELU = ("Gelu", "BiasGelu")
GELU_LEAST = -0.17


def quantize(source: Path, target: Path, *, signed: bool) -> None:
    """Write the int8 model of `source` to `target`.

    Args:
        source: An fp32 model.
        target: Where it goes.
        signed: Weights around nought, for processors with instructions for such products (VNNI, Arm): twice as fast
            there. Others have none, and kernels that saturate; with weights around 128 theirs are exact. The integer
            products, and with them the vectors, are the same.
    """
    model = fused(source)
    _Rewriter(model.graph, signed=signed).run()
    if MICROSOFT not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    onnx.checker.check_model(model)
    onnx.save(model, target)


def fused(source: Path) -> onnx.ModelProto:
    """The model with attention and GELU each as one operator; normalisations, which are quicker alone, stay so."""
    options = FusionOptions("bert")
    options.use_multi_head_attention = True
    options.enable_embed_layer_norm = options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False
    return optimizer.optimize_model(
        str(source), "bert", num_heads=0, hidden_size=0, optimization_options=options, opt_level=0
    ).model


class _Rewriter:
    """Replaces products with weights, and look-ups in large tables, by their int8 forms."""

    def __init__(self, graph: onnx.GraphProto, *, signed: bool) -> None:
        self._graph, self._signed = graph, signed
        self._stored = {item.name: item for item in graph.initializer}
        self._by_gelu = {node.output[0] for node in graph.node if node.op_type in GELU}
        self._replaced: set[str] = set()
        self._constants: dict[str, onnx.TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._quantized: dict[str, tuple[str, str, str]] = {}  # activation → its integers, scale and least value

    def run(self) -> None:
        """Rewrite the graph in place."""
        for node in self._graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._stored:
                self._product(node)
            elif node.op_type == "Gather" and self._is_large_table(node.input[0]):
                self._look_up(node)
            else:
                self._nodes.append(node)
        kept = [item for name, item in self._stored.items() if name not in self._replaced]
        for field in (self._graph.node, self._graph.initializer, self._graph.value_info):
            del field[:]
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend([*kept, *self._constants.values()])

    def _product(self, node: onnx.NodeProto) -> None:
        x, weights, y = node.input[0], self._take(node.input[1]), node.output[0]
        integers, scale, least = self._activations(x)
        channel, v = _scaled(weights, axis=0)
        middle, kind = (0, np.int8) if self._signed else (128, np.uint8)
        product = self._add(
            "MatMulIntegerToFloat",
            y,
            [
                integers,
                self._constant(f"{y}/weights", (v + middle).astype(kind)),
                self._constant("int8/one", np.float32(1)),
                self._constant(f"{y}/channel", channel.reshape(-1)),
                self._constant("int8/nought", np.uint8(0)),
                self._constant(f"{y}/middle", np.full(channel.size, middle, kind)),
            ],
            domain=MICROSOFT,
        )
        product = self._add("Mul", y, [product, scale])
        sums = (v * channel).sum(axis=0, dtype=np.float32)
        if x in self._by_gelu:
            rest = self._constant(f"{y}/rest", GELU_LEAST * sums)
        else:
            rest = self._add("Mul", y, [least, self._constant(f"{y}/sums", sums)])
        self._nodes.append(helper.make_node("Add", [product, rest], [y]))

    def _activations(self, x: str) -> tuple[str, str, str]:
        """Unsigned bytes for x, with each token's scale and least value; once for all products that it is part of."""
        if x not in self._quantized:
            last = self._constant("int8/last", np.array([-1]))
            if x in self._by_gelu:
                least = self._constant("int8/gelu", np.float32(GELU_LEAST))
            else:
                least = self._add("ReduceMin", x, [x, last], keepdims=1)
            span = self._add("Sub", x, [self._add("ReduceMax", x, [x, last], keepdims=1), least])
            scale = self._add("Mul", x, [span, self._constant("int8/step", np.float32(1 / 255))])
            scale = self._add("Max", x, [scale, self._constant("int8/tiny", np.float32(1e-12))])
            steps = self._add("Div", x, [self._add("Sub", x, [x, least]), scale])
            one, nought = self._constant("int8/one", np.float32(1)), self._constant("int8/nought", np.uint8(0))
            self._quantized[x] = (self._add("QuantizeLinear", x, [steps, one, nought]), scale, least)
        return self._quantized[x]

    def _look_up(self, node: onnx.NodeProto) -> None:
        """Each row of the table has its own scale."""
        y = node.output[0]
        scales, rows = _scaled(self._take(node.input[0]), axis=1)
        found = self._add("Gather", y, [self._constant(f"{y}/rows", rows.astype(np.int8)), node.input[1]], axis=0)
        found = self._add("Cast", y, [found], to=onnx.TensorProto.FLOAT)
        scale = self._add("Gather", y, [self._constant(f"{y}/scales", scales), node.input[1]], axis=0)
        self._nodes.append(helper.make_node("Mul", [found, scale], [y]))

    def _is_large_table(self, name: str) -> bool:
        item = self._stored.get(name)
        return item is not None and len(item.dims) == 2 and item.dims[0] >= LARGE_TABLE

    def _take(self, name: str) -> NDArray[np.float32]:
        self._replaced.add(name)
        return np.asarray(numpy_helper.to_array(self._stored[name]), dtype=np.float32)

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, operator: str, near: str, inputs: list[str], **attributes: object) -> str:
        """Append a node; gives the name of its output, made from `near`'s."""
        name = f"{near}/int8/{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name


def _scaled(weights: NDArray[np.float32], axis: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scales along `axis` and whole numbers from -127 to 127 whose product is about `weights`."""
    scales = np.maximum(np.abs(weights).max(axis=axis, keepdims=True) / 127, 1e-12).astype(np.float32)
    return scales, np.round(weights / scales)
