"""What every request passes: tokens, limits, parameters, bodies, refusals and metrics."""
