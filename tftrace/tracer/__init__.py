"""Run the model under the profiler; the only part that imports TensorFlow."""
