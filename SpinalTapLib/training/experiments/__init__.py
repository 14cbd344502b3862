"""The experiments behind the figures in docs/."""
