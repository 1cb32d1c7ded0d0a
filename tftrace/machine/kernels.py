"""What one kernel does, in the quantities that its time depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelWork:
    """The work of one execution of one graph operation, or of several that run as one kernel.

    Only `op_type` and the byte counts are always needed; the shape features matter for the families
    that read them (see `tftrace.machine.fits`).

    Attributes:
        op_type: TensorFlow's name, `Conv2D`; for a kernel made of several, that of the main one.
        macs: multiply-accumulates.
        flops: element-wise operations, twice `macs` included, transcendental ones not.
        transcendental: elements that pass through exp, tanh and the like.
        bytes_in: bytes of all inputs, weights included.
        bytes_out: bytes of all outputs.
        dtype: name of the element type.
        batch, out_h, out_w: extents of the output (1 where it has no such axis).
        cin, cout: channels of input and output; inner and outer size for a matrix product.
        kernel_h, kernel_w: window.
        stride: product of the window's steps along height and width.
        groups: groups of a convolution.
        broadcast: True if one operand of an element-wise operation is repeated over the other.
        fresh: True if the output's memory comes straight from the operating system, page by page,
            instead of from what was freed before or from an input that is written over.
        name: name of the graph operation, for the caller's own use.
    """

    op_type: str
    macs: int = 0
    flops: int = 0
    transcendental: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dtype: str = "float32"
    batch: int = 1
    out_h: int = 1
    out_w: int = 1
    cin: int = 1
    cout: int = 1
    kernel_h: int = 1
    kernel_w: int = 1
    stride: int = 1
    groups: int = 1
    broadcast: bool = False
    fresh: bool = False
    name: str = ""

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_in + self.bytes_out

    @property
    def rows(self) -> int:
        """Output positions over the batch: rows of the matrix product inside a convolution."""
        return self.batch * self.out_h * self.out_w

    @property
    def window(self) -> int:
        """Positions in the window."""
        return self.kernel_h * self.kernel_w
