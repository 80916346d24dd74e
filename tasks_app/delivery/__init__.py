"""The delivery engine: lease → send → settle. Only *send* is slow, and it holds nothing."""
