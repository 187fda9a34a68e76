"""Set-up of a notebook, published results, sliders, and exercises that say whether an answer is right."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checks": ["check", "progress"],
        "live": ["explore"],
        "record": ["ablation", "published", "references", "refinement", "results"],
        "setup": ["Setup", "chosen_profile", "start", "threads"],
    },
)
