"""The optional slices, one folder each. None of them imports another."""
