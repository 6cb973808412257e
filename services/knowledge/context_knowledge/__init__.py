"""The truth: items, their versions and edges, and the feed by which a read model follows them."""
