"""Say why something that SOPS encrypted stays closed; here, because everything else of SOPS is loaded only when needed."""


class SopsError(Exception):
    """Something that SOPS encrypted cannot be opened; the message says nothing of what it holds."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
