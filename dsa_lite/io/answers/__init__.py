"""Whether an answer is right: checkers, and the child process in which they can be killed."""
