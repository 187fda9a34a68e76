"""Notebook 02: the networks. The U-Net, one with a pretrained encoder, the released weights, and a look inside."""
