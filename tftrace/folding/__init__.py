"""Parts of batch-norm folding: call graph, moving an affine map, absorbing it, rebuilding."""
