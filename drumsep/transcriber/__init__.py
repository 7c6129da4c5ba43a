"""Our own transcriber: a small network that hears nine drums in any drum recording."""
