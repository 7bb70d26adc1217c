"""TLC, and its state graph compared with ours."""
