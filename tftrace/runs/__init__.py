"""The run folder as a contract: its manifest, its names, how it is found and opened."""
