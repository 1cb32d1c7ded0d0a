"""When things happened: window, executions, workers, devices. Knows no layer."""
