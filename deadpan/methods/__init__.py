"""The methods, one file each; METHODS is the only list of them."""

from deadpan.method import Method
from deadpan.methods.baselines import CNN, Oracle
from deadpan.methods.derl import DeRL

METHODS: dict[str, type[Method]] = {
    "derl": DeRL,
    "cnn": CNN,
    "oracle": Oracle,
}
