"""Our own core's handlers, proved along every path."""
