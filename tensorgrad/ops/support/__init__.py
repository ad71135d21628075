"""How operations are defined: registry, descriptions, axes, and arithmetic of rules."""
