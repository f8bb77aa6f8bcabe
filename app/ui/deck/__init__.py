"""The deck: the next cases wait in the page, and what is said of them goes out in order until it is acknowledged."""
