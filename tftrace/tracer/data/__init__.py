"""What predict takes: arrays of every kind, nested structures, batches of its own."""
