"""The one refusal of the SSRF guard, with a stable code for API answers."""


class BlockedTarget(ValueError):
    """We do not send there.

    Codes: url_invalid url_too_long scheme_not_allowed userinfo_not_allowed fragment_not_allowed
    host_invalid port_invalid port_not_allowed address_invalid address_not_allowed.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
