"""The DataFrames of a profile, one file per table."""
