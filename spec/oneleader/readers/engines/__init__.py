"""One compiler from traced actions, and the engines that it feeds: printed Python, NumPy and C."""
