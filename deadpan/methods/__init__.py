"""The methods, one file for each paper; METHODS is the only list of them."""

from deadpan.method import Method
from deadpan.methods.baselines import CNN, FeatureDifference, Oracle, PixelDifference
from deadpan.methods.deadpan import Deadpan
from deadpan.methods.degan import DEGAN
from deadpan.methods.derl import DeRL
from deadpan.methods.dgcn import DGCN
from deadpan.methods.errnet import ERRNet

METHODS: dict[str, type[Method]] = {
    "deadpan": Deadpan,
    "derl": DeRL,
    "dgcn": DGCN,
    "degan": DEGAN,
    "errnet": ERRNet,
    "cnn": CNN,
    "pixel_difference": PixelDifference,
    "feature_difference": FeatureDifference,
    "oracle": Oracle,
}
