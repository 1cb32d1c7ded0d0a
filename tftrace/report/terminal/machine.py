"""The machine model on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tftrace.text import bytes_text

if TYPE_CHECKING:
    from tftrace.machine.model import MachineModel


def print_machine(machine: MachineModel, console: Console) -> None:
    """Every measured figure with its spread, and what makes it doubtful."""
    console.print(f"{machine.machine}, TensorFlow {machine.tensorflow}", style="bold")
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "best", "median", "IQR", "n"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    rows = [(f"{dtype} MatMul, GMAC/s", m) for dtype, m in machine.matmul_gmacs.items()]
    rows.append(("float32 Conv2D, GMAC/s", machine.conv_gmacs))
    rows += [(f"bandwidth at {bytes_text(s)}, GB/s", m) for s, m in machine.bandwidth_gb]
    rows.append(("dispatch of one op, us", machine.dispatch_us))
    rows.append(("predict, per batch, ms", machine.predict_batch_ms))
    rows.append(("predict, per call, ms", machine.predict_call_ms))
    if machine.predict_gb is not None:
        rows.append(("data that predict takes in, GB/s", machine.predict_gb))
    if machine.predict_variable_us is not None:
        rows.append(("predict, per batch and variable, us", machine.predict_variable_us))
    for name, m in rows:
        table.add_row(name, f"{m.best:.2f}", f"{m.median:.2f}", f"{m.iqr:.2f}", str(m.n))
    console.print(table)
    console.print(f"single kernels: {len(machine.kernels) or 'not measured (--full)'}")
    for warning in machine.warnings:
        console.print(warning, style="yellow")
