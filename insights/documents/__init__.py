"""Documents as their users met them: which disappoint, which stand too low, which are unknown."""
