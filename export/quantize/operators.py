"""The operators that a recipe may name: what the quantizers can do with each."""

_WEIGHTED = (
    "BATCH_MATMUL", "CONV_2D", "CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D", "EMBEDDING_LOOKUP",
    "FULLY_CONNECTED",
)  # fmt: skip
_STATIC = (
    "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BROADCAST_TO", "CONCATENATION", "CONV_2D",
    "CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D", "DIV", "DYNAMIC_UPDATE_SLICE", "EQUAL", "FULLY_CONNECTED",
    "GATHER", "GATHER_ND", "GELU", "HARD_SWISH", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MIRROR_PAD",
    "MUL", "NOT_EQUAL", "PACK", "PAD", "PADV2", "REDUCE_MIN", "RELU", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SELECT", "SELECT_V2", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH",
    "SPLIT", "SQRT", "SQUARED_DIFFERENCE", "STABLEHLO_COMPOSITE", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TRANSPOSE", "UNPACK",
)  # fmt: skip
OPERATORS = {
    "static_int8": _STATIC,
    "dynamic_int8": _WEIGHTED,
    "weight_int8": _WEIGHTED,
    "weight_int4": ("BATCH_MATMUL", "CONV_2D", "EMBEDDING_LOOKUP", "FULLY_CONNECTED"),
    "packed_int4": ("EMBEDDING_LOOKUP",),
    "packed_int6": ("EMBEDDING_LOOKUP",),
    "float": (*_STATIC, "EMBEDDING_LOOKUP"),
}
"""By precision, the .tflite's operators that can have it: by ai-edge-quantizer's policy, or packed."""
ONNX_OPERATORS = (
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose",
    "CumSum", "EmbedLayerNormalization", "Flatten", "Gather", "GatherElements", "Gemm", "GlobalAveragePool",
    "InstanceNormalization", "LayerNormalization", "LeakyRelu", "MatMul", "MaxPool", "Mul", "Pad", "Relu",
    "Reshape", "Resize", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "TopK", "Transpose",
    "Unsqueeze", "Where",
)  # fmt: skip
"""What ONNX Runtime quantizes statically."""
