"""The inverse drum machine (Torres, Peeters and Richard 2025): transcribe, synthesise, mask."""
