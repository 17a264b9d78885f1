"""Trains a network with TensorFlow, for run.py: a custom training loop in a tf.function of plain operations, without Keras
layers. The modes: function leaves the graph to TensorFlow and oneDNN, jit compiles it with XLA."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

import network
import protocol

MODES = ["function", "jit"]
INTER_OP_THREADS = 0  # the default: TensorFlow's choice; 1 was slower

Apply = Callable[[tf.Tensor], tf.Tensor]


class Model:
    """The layers as functions, and the trained and the frozen parameters in their order."""

    def __init__(self, net: network.Network) -> None:
        self.parameters: list[tf.Variable] = []
        self.layers: list[Apply] = []
        shape = [net.size, net.size, net.channels]
        for layer in net.layers:
            apply, shape = self.add(layer, shape)
            self.layers.append(apply)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for apply in self.layers:
            x = apply(x)
        return x

    def trained(self) -> list[tf.Variable]:
        return [p for p in self.parameters if p.trainable]

    def parameter(self, value: tf.Tensor, trained: bool = True) -> tf.Variable:
        self.parameters.append(tf.Variable(value, trainable=trained))
        return self.parameters[-1]

    def weight(self, shape: list[int], inputs: int, trained: bool = True) -> tf.Variable:
        bound = 1 / math.sqrt(inputs)
        return self.parameter(tf.random.uniform(shape, -bound, bound), trained)

    def add(self, layer: network.Layer, shape: list[int]) -> tuple[Apply, list[int]]:
        """The function of a layer, and the shape of its output for an example."""
        match layer["layer"]:
            case "conv2d":
                return self.conv2d(layer, shape)
            case "dense":
                return self.dense(layer, shape), [layer["out"]]
            case "batch-norm":
                return self.batch_norm(layer, shape[-1]), shape
            case "max-pool2d":
                kernel = layer["kernel"]
                pooled = [shape[0] // kernel, shape[1] // kernel, shape[2]]
                return lambda x: tf.nn.max_pool2d(x, kernel, kernel, "VALID"), pooled
            case "relu":
                return tf.nn.relu, shape
            case "gelu":
                return lambda x: tf.nn.gelu(x, approximate=False), shape
            case "flatten":
                size = math.prod(shape)
                return lambda x: tf.reshape(x, [-1, size]), [size]
            case "dropout":
                rate = layer["rate"]
                return (lambda x: tf.nn.dropout(x, rate)) if rate > 0 else tf.identity, shape
            case "scale":
                by = layer["by"]
                return lambda x: x * by, shape
        raise ValueError(f"layer {layer['layer']!r} is not known")

    def conv2d(self, layer: network.Layer, shape: list[int]) -> tuple[Apply, list[int]]:
        kernel, padding, out = layer["kernel"], layer["padding"], layer["out"]
        w = self.weight([kernel, kernel, shape[2], out], kernel * kernel * shape[2], not layer["frozen"])
        bias = self.parameter(tf.zeros([out])) if layer["bias"] else None
        if 2 * padding not in (0, kernel - 1):
            raise ValueError(f"padding {padding} of a kernel of {kernel}: want none, or \"same\" of an odd kernel")
        kind = "SAME" if padding else "VALID"
        lost = 0 if padding else kernel - 1

        def apply(x: tf.Tensor) -> tf.Tensor:
            y = tf.nn.conv2d(x, w, 1, kind)
            return y if bias is None else tf.nn.bias_add(y, bias)

        return apply, [shape[0] - lost, shape[1] - lost, out]

    def dense(self, layer: network.Layer, shape: list[int]) -> Apply:
        w = self.weight([shape[0], layer["out"]], shape[0])
        bias = self.parameter(tf.zeros([layer["out"]])) if layer["bias"] else None
        return lambda x: tf.matmul(x, w) if bias is None else tf.nn.bias_add(tf.matmul(x, w), bias)

    def batch_norm(self, layer: network.Layer, channels: int) -> Apply:
        """Calls the fused operation directly, because Keras and tf.nn raise a small epsilon."""
        gamma = self.parameter(tf.ones([channels]), not layer["frozen-scale"])
        beta = self.parameter(tf.zeros([channels]))
        mean = tf.Variable(tf.zeros([channels]), trainable=False)
        variance = tf.Variable(tf.ones([channels]), trainable=False)

        def apply(x: tf.Tensor) -> tf.Tensor:
            y = tf.raw_ops.FusedBatchNormV3(
                x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=layer["epsilon"],
                exponential_avg_factor=layer["momentum"], is_training=True,
            )
            mean.assign(y.batch_mean)
            variance.assign(y.batch_variance)
            return y.y

        return apply

    def set(self, values: list[np.ndarray]) -> None:
        """Sets the parameters to those of the Go worker, whose filters are [out, h, w, in]."""
        if len(values) != len(self.parameters):
            raise ValueError(f"the file has {len(values)} parameters, the network {len(self.parameters)}")
        for p, value in zip(self.parameters, values):
            p.assign(value.transpose(1, 2, 3, 0) if value.ndim == 4 else value)


def training_step(model: Model, net: network.Network, mode: str) -> tf.types.experimental.ConcreteFunction:
    """One step on a batch: forward, loss, backward, update. It returns the loss."""
    trained = model.trained()
    velocity = [tf.Variable(tf.zeros_like(p), trainable=False) for p in trained]

    @tf.function(jit_compile=mode == "jit")
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x))
            loss = tf.reduce_mean(losses)
        for p, v, gradient in zip(trained, velocity, tape.gradient(loss, trained)):
            tf.raw_ops.ResourceApplyMomentum(
                var=p.handle, accum=v.handle, lr=net.lr, grad=gradient, momentum=net.momentum, use_nesterov=True,
            )
        return loss

    image = tf.TensorSpec([net.batch, net.size, net.size, net.channels], tf.float32)
    return step.get_concrete_function(image, tf.TensorSpec([net.batch], tf.int64))


def step_flops(step: tf.types.experimental.ConcreteFunction) -> int:
    """The floating-point operations of the convolutions and matrix products of one step, counted in the part of its graph
    that its result or a variable depends on."""
    todo = [t.op for t in step.graph.outputs] + list(step.graph.control_outputs)
    seen = set(todo)
    total = 0
    while todo:
        op = todo.pop()
        total += product_flops(op)
        for before in [t.op for t in op.inputs] + list(op.control_inputs):
            if before not in seen:
                seen.add(before)
                todo.append(before)
    return total


def product_flops(op: tf.Operation) -> int:
    """Twice the multiply-adds of a convolution, of its gradients, and of a matrix product;
    0 for other operations. Each gradient of a convolution takes as many as its forward pass."""
    if op.type == "MatMul":
        inner = op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1]
        return 2 * inner * op.outputs[0].shape.num_elements()
    images = {"Conv2D": op.outputs, "Conv2DBackpropInput": op.inputs[2:], "Conv2DBackpropFilter": op.inputs[2:]}
    filters = {"Conv2D": op.inputs[1:], "Conv2DBackpropInput": op.inputs[1:], "Conv2DBackpropFilter": op.outputs}
    if op.type not in images:
        return 0
    height, width, channels, _ = filters[op.type][0].shape
    return 2 * images[op.type][0].shape.num_elements() * height * width * channels


def build(args: argparse.Namespace) -> protocol.Built:
    """Builds the network and runs the first steps."""
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(INTER_OP_THREADS)
    tf.random.set_seed(1)
    net = network.load(args.row, args.batch, args.lr, dropout=not args.check)
    model = Model(net)
    if args.check:
        model.set(network.weights(args.check))
    step = training_step(model, net, args.mode)
    data = [(tf.constant(x), tf.constant(y)) for x, y in network.batches(net)]
    turns = itertools.cycle(data)
    losses = [float(step(*next(turns))) for _ in range(network.CHECK_STEPS if args.check else 2)]
    ready = {
        "name": "TensorFlow",
        "mode": args.mode,
        "version": tf.__version__,
        "device": f"CPU, {args.threads} threads",
        "batch": net.batch,
        "parameters": sum(p.shape.num_elements() for p in model.trained()),
        "flops_per_image": step_flops(step) // net.batch,
        "output": [net.batch, network.CLASSES],
        "losses": losses if args.check else [],
    }
    return ready, {"measure": protocol.measure(lambda: step(*next(turns)).numpy(), net.batch)}


if __name__ == "__main__":
    out = protocol.replies()
    args = protocol.arguments(MODES)
    protocol.serve(out, lambda: build(args))
