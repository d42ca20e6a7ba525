"""The real operator under a deterministic explorer of schedules: see docs/simulation.md."""
