"""What one command does to one file: read, compute, write, report."""
