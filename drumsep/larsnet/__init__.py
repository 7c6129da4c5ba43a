"""LarsNet (Mezza et al. 2024): five U-Nets that mask the mixture's spectrum."""
