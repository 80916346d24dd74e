"""The secret of the tests' destinations, apart from what needs Django."""

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcyEh"
