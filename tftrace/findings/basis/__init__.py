"""What the rules look at: a run's evidence, its figures, chains of layers, what a fold changes."""
