"""What every program does the same way: settings, logs, probes, start and stop."""
