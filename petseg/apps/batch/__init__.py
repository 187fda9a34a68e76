"""`petseg segment`: photos, folders and patterns in, files of masks, overlays and cut-outs out."""
