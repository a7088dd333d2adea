"""A self-hosted real-time voice and vision assistant built on Phi-4-multimodal."""

__version__ = "0.1.0"
