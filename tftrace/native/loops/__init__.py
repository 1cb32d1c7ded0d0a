"""The compiled loops, one file per subject."""
