"""What ends the command early."""


class CommandError(Exception):
    """A run that failed; the message is shown to the user as it stands."""

    status = 1


class UsageError(CommandError):
    """A request that cannot be met: a wrong option, a file that does not fit."""

    status = 2


class StoppedError(Exception):
    """Ctrl-C was pressed, or SIGTERM sent; raised between two steps."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class TerminatedError(KeyboardInterrupt):
    """SIGTERM was sent: it ends the command as Ctrl-C does."""
