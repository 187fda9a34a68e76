"""The upload-and-segment panel for notebooks."""

from petseg.demo.panel import Panel, segment_panel

__all__ = ["Panel", "segment_panel"]
