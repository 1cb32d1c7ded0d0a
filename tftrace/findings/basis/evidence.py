"""What a rule may look at."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from tftrace.machine.model import MachineModel
from tftrace.runs.layer_graph import LayerGraph


class Evidence(Protocol):
    """The tables and facts of one run, as a Profile has them."""

    @property
    def layers(self) -> pd.DataFrame:
        """The **layers** table."""

    @property
    def ops(self) -> pd.DataFrame:
        """The **ops** table."""

    @property
    def wall(self) -> pd.DataFrame:
        """The **wall** table."""

    @property
    def steps(self) -> pd.DataFrame:
        """The **steps** table."""

    @property
    def input(self) -> pd.DataFrame:
        """The **input** table."""

    @property
    def epochs(self) -> pd.DataFrame:
        """The **epochs** table; empty of all but ``fit``."""

    @property
    def epochs_of(self) -> str | None:
        """Whose epochs those are."""

    @property
    def primitives(self) -> pd.DataFrame:
        """The **primitives** table; empty where oneDNN's log was not asked for."""

    @property
    def buffers(self) -> pd.DataFrame:
        """The **buffers** table; empty where memory was not asked for."""

    @property
    def layer_graph(self) -> LayerGraph:
        """How values pass between layers."""

    @property
    def roofs(self) -> MachineModel | None:
        """What the machine can do at best, when it was calibrated."""

    @property
    def run(self) -> dict[str, Any]:
        """Settings of the run, as in the manifest."""

    @property
    def latency(self) -> dict[str, Any]:
        """Untraced passes, as in the manifest."""

    @property
    def machine(self) -> dict[str, Any]:
        """The machine, as in the manifest."""
