"""A second count that never sees a graph: layer configurations and shapes, added up.

It shares no line with the package. A layer it does not know is an error, so that nothing is
left out unnoticed.
"""

from math import prod

_FREE = {
    "InputLayer",
    "ZeroPadding2D",
    "Cropping2D",
    "MaxPooling2D",
    "GlobalMaxPooling2D",
    "Add",
    "Concatenate",
    "Flatten",
    "Reshape",
    "Dropout",
    "Pad",
    "ReLU",
    "StochasticDepth",
}

_MULTS_PER_ELEMENT = {
    "linear": 0,
    "relu": 0,
    "relu6": 0,
    "sigmoid": 0,
    "softmax": 1,
    "silu": 1,
    "hard_sigmoid": 1,
    "hard_silu": 2,
    "gelu": 3,
}


def second_count(model) -> tuple[int, int]:
    """(macs, mults) per sample of a functional model, nested models included.

    ``operations`` are its layers and what stands between them, such as ``x * (1 / 6)``.
    """
    macs = mults = 0
    for layer in getattr(model, "operations", model.layers):
        if hasattr(layer, "layers"):
            inner_macs, inner_mults = second_count(layer)
        else:
            inner_macs, inner_mults = _layer(layer)
        macs, mults = macs + inner_macs, mults + inner_mults
    return macs, mults


def _layer(layer) -> tuple[int, int]:
    kind = type(layer).__name__
    if kind in _FREE:
        return 0, 0
    size = prod(layer.output.shape[1:])
    # A plain operation has no configuration to speak of.
    config = layer.get_config() if hasattr(layer, "weights") else {}
    macs, extra = _macs(kind, config, layer, size), _mults(kind, config, layer, size)
    if macs is None and extra is None:
        raise NotImplementedError(kind)
    activation = config.get("activation", "linear")
    return macs or 0, (macs or 0) + (extra or 0) + size * _MULTS_PER_ELEMENT[activation]


def _macs(kind, config, layer, size) -> int | None:
    if kind == "Dense":
        return size * layer.input.shape[-1]
    if "Conv2D" not in kind:
        return None
    channels = layer.input.shape[-1]
    window = prod(config["kernel_size"])
    if kind == "Conv2D":
        return size * window * channels // config["groups"]
    if kind == "DepthwiseConv2D":
        return size * window
    if kind == "SeparableConv2D":
        middle = size // config["filters"] * channels * config["depth_multiplier"]
        return middle * window + size * channels * config["depth_multiplier"]
    raise NotImplementedError(kind)


def _mults(kind, config, layer, size) -> int | None:
    per_output = {
        "BatchNormalization": 1,
        "Rescaling": 1,
        "Normalization": 1,
        "Multiply": 1,
        "LayerScale": 1,
        "CustomScaleLayer": 1,
        "AveragePooling2D": 1,
        "GlobalAveragePooling2D": 1,
        "Activation": 0,
    }
    if kind == "CustomScaleLayer" and config["scale"] == 1:
        return 0
    if kind == "LayerNormalization":
        # Squares, two products of factors, one to apply; two means per row.
        return 4 * size + 2 * (size // layer.output.shape[-1])
    return None if kind not in per_output else per_output[kind] * size


def batch_norm_parameter_mults(model) -> int:
    """Multiplications on parameters alone that Keras runs on every batch.

    Per channel ``rsqrt * gamma`` and ``mean * scale``; without gamma the second only.
    """
    mults = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):
            mults += batch_norm_parameter_mults(layer)
        elif type(layer).__name__ == "BatchNormalization":
            mults += layer.output.shape[layer.axis] * (2 if layer.scale else 1)
    return mults
