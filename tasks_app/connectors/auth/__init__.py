"""How a destination knows us: credentials, tokens and certificates, for every connector alike."""
