"""Where the time of model.predict goes, layer by layer, beside the multiplications."""
