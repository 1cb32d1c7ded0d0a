"""What others published for the networks of keras.applications, and what differs.

All figures are multiply-accumulates of one image in billions, whatever their source calls them.
"""

from dataclasses import dataclass

TORCHVISION = "torchvision, `_ops` of the weights, pytorch.org/vision/stable/models.html"
RESNET = "He et al., arXiv 1512.03385, table 1"
NASNET = "Zoph et al., arXiv 1707.07012, table 2"
SLIM = "tensorflow/models, research/slim/nets, README of the network"
EFFICIENTNET = "Tan and Le, arXiv 1905.11946, table 2"
AUTOML = "google/automl, efficientnetv2/README.md"
CONVNEXT = "facebookresearch/ConvNeXt, README.md"


@dataclass(frozen=True)
class Figure:
    model: str
    gmacs: float
    source: str


SAME_NETWORK = [
    Figure("VGG16", 15.47, TORCHVISION),
    Figure("VGG19", 19.632, TORCHVISION),
    Figure("ResNet101", 7.6, RESNET),
    Figure("ResNet152", 11.3, RESNET),
    Figure("DenseNet121", 2.834, TORCHVISION),
    Figure("DenseNet169", 3.36, TORCHVISION),
    Figure("DenseNet201", 4.291, TORCHVISION),
    Figure("InceptionV3", 5.713, TORCHVISION),
    Figure("InceptionV3", 5.72, NASNET),
    Figure("InceptionResNetV2", 13.2, NASNET),
    Figure("Xception", 8.38, NASNET),
    Figure("NASNetMobile", 0.564, SLIM),
    Figure("NASNetLarge", 23.8, SLIM),
    Figure("MobileNet", 0.569, SLIM),
    Figure("MobileNetV2", 0.301, TORCHVISION),
    Figure("MobileNetV3Large", 0.217, TORCHVISION),
    Figure("MobileNetV3Small", 0.057, TORCHVISION),
    Figure("EfficientNetB0", 0.386, TORCHVISION),
    Figure("EfficientNetB1", 0.687, TORCHVISION),
    Figure("EfficientNetB2", 1.0, EFFICIENTNET),  # torchvision crops to 288, Keras to 260
    Figure("EfficientNetB3", 1.827, TORCHVISION),
    Figure("EfficientNetB4", 4.394, TORCHVISION),
    Figure("EfficientNetB5", 10.266, TORCHVISION),
    Figure("EfficientNetB6", 19.068, TORCHVISION),
    Figure("EfficientNetB7", 37.746, TORCHVISION),
    Figure("EfficientNetV2B0", 0.72, AUTOML),
    Figure("EfficientNetV2B1", 1.2, AUTOML),
    Figure("EfficientNetV2B2", 1.7, AUTOML),
    Figure("EfficientNetV2B3", 3.0, AUTOML),
    Figure("EfficientNetV2S", 8.366, TORCHVISION),
    Figure("EfficientNetV2M", 24.582, TORCHVISION),
    Figure("EfficientNetV2L", 56.08, TORCHVISION),
    Figure("ConvNeXtTiny", 4.456, TORCHVISION),
    Figure("ConvNeXtSmall", 8.684, TORCHVISION),
    Figure("ConvNeXtBase", 15.355, TORCHVISION),
    Figure("ConvNeXtLarge", 34.361, TORCHVISION),
    Figure("ConvNeXtXLarge", 60.9, CONVNEXT),
]
"""Within 1 % of the count."""

# torchvision's ResNets are "v1.5": the stride of a stage sits in the 3x3 convolution, in Keras
# (as in the paper) in the 1x1 before it, which then has a quarter of the positions. Each of
# three stages differs by 3/4 of positions * channels in * channels out:
# 56^2 * 256 * 128 = 28^2 * 512 * 256 = 14^2 * 1024 * 512.
STRIDE_PLACEMENT = 3 * (3 * 56**2 * 256 * 128 // 4)

OTHER_STRIDE = [
    Figure("ResNet50", 4.089, TORCHVISION),
    Figure("ResNet101", 7.801, TORCHVISION),
    Figure("ResNet152", 11.514, TORCHVISION),
]
"""Equal to the last digit once STRIDE_PLACEMENT is added to the count."""

EXPLAINED = {
    "ResNet50": "He et al. give two digits, 3.8; the count is 3.858, "
    "and 4.089 with the stride where torchvision has it",
    "ResNet50V2": "Keras strides in the LAST block of a stage, so most blocks see a quarter of "
    "the positions; published pre-activation ResNets (3.9, 7.6, 11.3 or more) stride in the first",
    "ResNet101V2": "as ResNet50V2",
    "ResNet152V2": "as ResNet50V2",
    "MobileNetV3Large": "the paper says 219 M, 1.1 % more; torchvision counts 217 M as we do",
    "EfficientNetB4": "the paper says 4.2; torchvision counts 4.394 as we do",
    "EfficientNetB5": "the paper says 9.9; torchvision counts 10.266 as we do",
    "EfficientNetB7": "the paper says 37; torchvision counts 37.746 as we do",
    "timm": "adds two operations per batch-norm element to its `GMACs`; ours are `mults`",
}
"""Models without a figure within 1 %, or with another one further off, and why."""
