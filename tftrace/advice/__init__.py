"""Remedies that are tried before they are promised, each beside the model as it is."""
