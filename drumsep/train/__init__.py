"""Training: sampled kits and grooves in, weights out. Needs no file but the user's data."""
