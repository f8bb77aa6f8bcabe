"""Models that people bring: trained elsewhere, in the formats of their libraries, behind the same Predictor."""
