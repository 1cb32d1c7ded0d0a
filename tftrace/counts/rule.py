"""The counting rule in words, as printed under every table."""

from __future__ import annotations

RULES = {
    "macs": (
        "macs: multiply-accumulates of convolutions and matrix products, full window, "
        "padding included, bias excluded"
    ),
    "mults": (
        "mults: macs plus the element-wise multiplications that remain once arithmetic on "
        "parameters alone is done (batch norm: 1 per element); a division counts as one"
    ),
    "flops": (
        "flops: {per_mac} x macs + element-wise operations at 1 each; "
        "exp, tanh, sqrt and their kind apart, as transcendentals"
    ),
    "bytes": "bytes: a layer's inputs, outputs and weights once",
    "executed": (
        "_executed: what the traced graph runs on every batch, arithmetic on parameters, "
        "cropped positions and intermediate tensors included"
    ),
}


def rule_text(flops_per_mac: int = 2) -> str:
    """The rule, one line per column. Everything is per sample: the batch's total / batch.

    Raises:
        ValueError: ``flops_per_mac`` is neither 1 nor 2.
    """
    if flops_per_mac not in (1, 2):
        raise ValueError(f"flops_per_mac is 1 or 2, not {flops_per_mac}")
    lines = [text.format(per_mac=flops_per_mac) for text in RULES.values()]
    return "\n".join([*lines, "per sample: the batch's total divided by the batch"])
