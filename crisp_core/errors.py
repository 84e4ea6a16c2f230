"""The one error that a user can mend."""


class UserError(Exception):
    """Bad input or setting: one line that names the file or key and the cure."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
