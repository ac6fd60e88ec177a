"""Everything that is known of a diagram as a dynamical system, in one call and one folder."""
