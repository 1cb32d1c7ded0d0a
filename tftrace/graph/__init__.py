"""The traced computation as plain data: no TensorFlow object passes this line."""

from tftrace.graph.flatten import FlatOp, flatten
from tftrace.graph.types import Edge, Graph, Node, Program, TensorSpec

__all__ = ["Edge", "FlatOp", "Graph", "Node", "Program", "TensorSpec", "flatten"]
