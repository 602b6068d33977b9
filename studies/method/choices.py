"""Choices of a question, written one a line."""


def choice_lines(text: str) -> list[str]:
    """Read the choices as participants meet them.

    Parameters
    ----------
    text : str
        One a line.

    Returns
    -------
    list of str
        Without blank lines and the space around.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]
