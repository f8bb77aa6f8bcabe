"""The queue under load and faults: real processes, people and producers over HTTP, kills at random, then every rule checked."""
