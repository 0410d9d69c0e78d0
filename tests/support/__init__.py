"""What flow tests, peer tests and the demo share. Loopback only; ports are
chosen by the system; what can be awaited is awaited, with a deadline."""
