"""Pure numerics: imports nothing of Bartizan's own."""
