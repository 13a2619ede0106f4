"""Mistakes that a person can mend: shown as a message, never as a traceback."""


class KubeinfraError(Exception):
    """
    What is wrong, in the words of the person who must mend it.

    Each message names the host, the setting or the file, what was found, what was wanted, and the next thing to do.
    Several mistakes found together are one error whose message has one line each.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
