"""From prepared history to published results: each module makes the engine's input frames, and asks it."""
