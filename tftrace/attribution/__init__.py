"""Join events to layers: provenance, concurrency, wall accounting."""
