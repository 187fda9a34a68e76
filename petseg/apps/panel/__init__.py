"""The upload-and-segment panel for notebooks."""

from petseg.apps.panel.panel import segment_panel

__all__ = ["segment_panel"]
