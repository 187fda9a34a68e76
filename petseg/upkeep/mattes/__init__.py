"""How good the cut-outs' edges are: scores against trimaps, drawn fur with a known alpha, the choice of settings."""
