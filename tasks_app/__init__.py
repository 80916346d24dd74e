"""The domain and the delivery engine of Aftercommit."""
