"""The parts of contrib/check: each module's functions check one receiver's files, and say in a line what was found."""
