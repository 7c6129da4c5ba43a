"""How good a model is: scores on a folder of clips with known parts, their ceilings, their spread.

dataset (clips) -> systems (estimates) -> scores (one clip) -> statistics (all) -> report (text)
"""
