"""A believable B2B sales organisation with planted truth: first-run data and the tests' oracle.

It shares nothing with the engine, neither code nor assumptions: deals move by weekly chances, amounts have Pareto
tails, leans have two humps, noise is gamma with blunders, losses come in clusters and people learn.
"""

from pipelines.simulate.run import SimulationSummary, simulate
from pipelines.simulate.scenario import Scenario
from pipelines.simulate.world import pairs_of, world_of

__all__ = ["Scenario", "SimulationSummary", "pairs_of", "simulate", "world_of"]
