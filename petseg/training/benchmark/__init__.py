"""`petseg bench`: how fast this machine trains, against a plain training loop and against its own peak.

Every row is a small function in a file of this folder; `table` lists and runs them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "formats": ["Timing", "timings"],
        "settings": ["Settings", "full", "quick"],
        "steps": ["step_parts"],
        "table": ["ROWS", "measure"],
    },
)
