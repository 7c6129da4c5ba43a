"""Fit what each drum sounds like to one recording, given its hits (DESIGN.md, "The refinement").

hits -> strokes (where they fall on frames) -> fitting (templates, strengths) -> masks
"""
