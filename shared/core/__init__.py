"""Objects, digests, selectors, seals, signatures: values in, values out."""
