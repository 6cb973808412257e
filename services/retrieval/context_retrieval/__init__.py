"""The index: hybrid search over what knowledge holds, and bundles that fit a token budget."""
